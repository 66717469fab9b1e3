"""Compile the engine when a compiler is there, and install without it when none is.

Everything static stands in ``pyproject.toml``.  This file adds the one thing that needs code:
each ``mptcp_oracle/engine/<noun>.py`` is also built as the extension module
``mptcp_oracle.engine.compiled.<noun>``, and a failure of that build never fails the install.

The environment variable ``MPTCP_ORACLE_BUILD`` decides:

* ``auto`` (default): compile; on any failure print one message and install the plain engine;
* ``plain``: do not compile;
* ``compiled``: compile, and let a failure fail the install.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ENGINE = Path("mptcp_oracle", "engine")
CORPUS = Path("corpus")
COMPILED = ENGINE / "compiled"
CHOICES = ("auto", "plain", "compiled")
FLAGS = {"unix": ["-O2", "-g0"]}


def engine_extensions() -> list[Extension]:
    """One extension for each loop module of the engine."""
    return [
        Extension(f"mptcp_oracle.engine.compiled.{path.stem}", [str(path)])
        for path in sorted(ENGINE.glob("*.py"))
        if path.stem != "__init__"
    ]


class BuildOutsideTree(build):
    """Build in a temporary folder.

    A ``build/`` folder in the checkout keeps modules that were deleted since, and the next wheel
    would ship them.
    """

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_base = tempfile.mkdtemp(prefix="mptcp-oracle-build-")
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


class BuildShipped(build_py):
    """Put the selection of the corpus that its index marks as shipped into the package."""

    def finalize_options(self) -> None:
        super().finalize_options()
        entries = tomllib.loads((CORPUS / "index.toml").read_text("utf-8"))["entry"]
        names = [entry[key] for entry in entries if entry["shipped"] for key in ("file", "sidecar")]
        self.package_data.setdefault("mptcp_oracle.corpus", []).extend(names)


class BuildEngine(build_ext):
    """Compile every loop or none: a half-compiled engine would be the hardest to explain."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        self.choice = os.environ.get("MPTCP_ORACLE_BUILD", "auto")
        if self.choice not in CHOICES:
            raise SystemExit(
                f"MPTCP_ORACLE_BUILD={self.choice}: choose one of {', '.join(CHOICES)}"
            )

    def run(self) -> None:
        self.inplace_wanted = self.inplace  # setuptools clears it while it builds
        if self.choice == "plain":
            self.forgo("MPTCP_ORACLE_BUILD=plain")
        elif self.inplace and not self.force:
            self.extensions = [ext for ext in self.extensions if not self.is_fresh(ext)]
        super().run()

    def build_extensions(self) -> None:
        try:
            from Cython.Build import cythonize

            for ext in self.extensions:
                (translated,) = cythonize([ext], build_dir=self.build_temp, quiet=True)
                ext.sources = translated.sources
                ext.extra_compile_args = FLAGS.get(self.compiler.compiler_type, [])
            super().build_extensions()
        except Exception as error:  # whatever stops the compiler must not stop the install
            if self.choice == "compiled":
                raise
            self.forgo(in_short(error))

    def forgo(self, reason: str) -> None:
        """Leave no extension behind, neither half built nor from an earlier build."""
        print(
            f"mptcp-oracle: the engine was not compiled ({reason}); "
            "it is installed as plain Python, which gives the same results more slowly",
            file=sys.stderr,
        )
        for ext in self.distribution.ext_modules:
            file = Path(self.get_ext_filename(ext.name))
            Path(self.build_lib, file).unlink(missing_ok=True)
            if self.inplace_wanted:
                (COMPILED / file.name).unlink(missing_ok=True)
        self.extensions = []

    def is_fresh(self, ext: Extension) -> bool:
        """Whether the extension in the checkout is newer than what it is made from."""
        path = COMPILED / Path(self.get_ext_filename(ext.name)).name
        sources = [*ext.sources, __file__]
        return path.exists() and all(
            os.path.getmtime(source) <= path.stat().st_mtime for source in sources
        )


def in_short(error: Exception) -> str:
    """What stopped the compiler, without the whole command line that the build log shows."""
    words = f"{type(error).__name__}: {error}"
    return words if len(words) < 160 else f"{type(error).__name__}, see the build log above"


setup(
    ext_modules=engine_extensions(),
    cmdclass={"build": BuildOutsideTree, "build_ext": BuildEngine, "build_py": BuildShipped},
)
