"""What the checkout holds: its tracked files, its packages, the modules in them."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "modules", "package_folders", "pyproject", "tracked"]

ROOT = Path(__file__).resolve().parents[2]

_GENERATED = {"build", "dist", "htmlcov", "nogcc", "__pycache__"}


@cache
def tracked() -> tuple[Path, ...]:
    """The project's files, relative to the root, in order.

    In a git checkout these are the tracked files that exist; in an unpacked source archive, all
    files outside hidden and generated folders.
    """
    if (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        paths = [Path(name) for name in listing.split("\0") if name]
    else:
        paths = [
            path.relative_to(ROOT)
            for path in ROOT.rglob("*")
            if not _is_generated(path.relative_to(ROOT))
        ]
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


def _is_generated(path: Path) -> bool:
    parts = path.parts
    hidden = parts[0].startswith(".") and parts[0] != ".ci"
    egg_info = any(part.endswith(".egg-info") for part in parts)
    return hidden or egg_info or path.suffix in {".so", ".pyc"} or bool(_GENERATED & set(parts))


@cache
def pyproject() -> dict[str, Any]:
    """The parsed ``pyproject.toml``."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def package_folders() -> dict[str, Path]:
    """Where each top package of the distribution lives: dotted name to folder in the checkout."""
    mapping = pyproject()["tool"]["setuptools"]["package-dir"]
    return {name: Path(folder) for name, folder in mapping.items()}


@cache
def modules() -> dict[str, Path]:
    """Every tracked module of the distribution: dotted name as installed, to its file."""
    found = {}
    for package, folder in package_folders().items():
        for path in tracked():
            if path.suffix == ".py" and path.is_relative_to(folder):
                parts = path.relative_to(folder).with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                found[".".join([package, *parts])] = path
    return found
