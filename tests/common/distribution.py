"""Builds wheels and source archives of the tracked files, and installs them elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.common.checkout import ROOT, tracked

__all__ = ["Installation", "build", "clean_copy"]


def clean_copy(folder: Path) -> Path:
    """Copy the tracked files, as a clone would have them."""
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    return folder


def build(source: Path, target: Path, kind: str, **environment: str) -> Path:
    """Build a ``wheel`` or an ``sdist`` without a network, with this interpreter's setuptools."""
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", target, source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = [path for path in target.iterdir() if path.suffix in {".whl", ".gz"}]
    return result


class Installation:
    """A virtual environment that holds one wheel, far from the checkout.

    The dependencies come from the environment that runs the tests: its ``site-packages`` is
    appended as a plain path, so that an editable install there stays invisible.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.folder = folder
        self.bin = folder / "bin"
        (self.site,) = (folder / "lib").glob("python*/site-packages")
        libraries = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
        (self.site / "dependencies.pth").write_text("\n".join(libraries) + "\n")
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python")]
        quietly = ["install", "-q", "--no-deps", "--no-index", "--force-reinstall"]
        subprocess.run([*pip, *quietly, str(wheel)], check=True, capture_output=True)

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python, or its script if the first argument names one."""
        script = self.bin / str(arguments[0])
        command = [script, *arguments[1:]] if script.exists() else [self.bin / "python", *arguments]
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MPTCP_ORACLE", "PYTHON", "COV_"))
        }
        return subprocess.run(
            command,
            env={**inherited, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
