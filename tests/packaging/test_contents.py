"""What the wheel and the source archive hold, compared with the checkout."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from mptcp_oracle.generators.corpus import read_index

from mptcp_oracle import engine
from tests.common.checkout import ROOT, package_folders, tracked
from tests.common.distribution import build, clean_copy
from tests.common.machine import unavailable

pytestmark = pytest.mark.slow

SHIPPED = {".css", ".js", ".py", ".toml", ".typed"}
"""Kinds of files that a package folder ships; others (notes, pictures) stay in the checkout."""


def expected() -> set[str]:
    """Paths inside the wheel of every tracked package file."""
    shipped = {
        f"mptcp_oracle/corpus/{path}"
        for entry in read_index(ROOT / "corpus")
        if entry.shipped
        for path in (entry.file, entry.sidecar)
    }
    return shipped | {
        str(Path(package.replace(".", "/"), path.relative_to(folder)))
        for package, folder in package_folders().items()
        for path in tracked()
        if path.is_relative_to(folder) and path.suffix in SHIPPED and path.name != "index.toml"
    }


def contents(wheel: Path) -> set[str]:
    """Paths of the files in a wheel, without its metadata and compiled modules."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    return {name for name in names if ".dist-info/" not in name and not name.endswith(".so")}


def test_the_wheel_holds_every_package_file_and_no_other(wheel: Path) -> None:
    """Tracked files of the packages and files in the wheel are the same set."""
    assert contents(wheel) == expected()


def test_the_wheel_puts_one_name_into_site_packages(wheel: Path) -> None:
    """Everything installed lies in ``mptcp_oracle``: no ``generators``, ``tests`` or the like."""
    assert {name.partition("/")[0] for name in contents(wheel)} == {"mptcp_oracle"}


def test_a_package_that_is_not_listed_is_missed(tmp_path: Path) -> None:
    """The comparison can fail: dropping a package from the list drops its files from the wheel."""
    source = clean_copy(tmp_path / "source")
    settings = source / "pyproject.toml"
    settings.write_text(settings.read_text().replace('    "mptcp_oracle.wire",\n', ""))
    wheel = build(source, tmp_path / "out", "wheel", MPTCP_ORACLE_BUILD="plain")
    missing = expected() - contents(wheel)
    assert missing
    assert all(name.startswith("mptcp_oracle/wire/") for name in missing)


def test_the_wheel_holds_the_compiled_engine(wheel: Path) -> None:
    """Where the tests run compiled, the wheel has the compiled form of every loop."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    with zipfile.ZipFile(wheel) as archive:
        compiled = [Path(name) for name in archive.namelist() if name.endswith(".so")]
    assert {path.parent.as_posix() for path in compiled} == {"mptcp_oracle/engine/compiled"}
    assert {path.name.partition(".")[0] for path in compiled} == set(engine.NAMES)


def test_the_source_archive_is_enough(sdist: Path, tmp_path: Path) -> None:
    """A wheel built from the source archive holds the same files, and the archive has the tests."""
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = lambda member, _: (
            member
        )  # our own archive; 3.11.2 has no filters
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    wheel = build(source, tmp_path / "out", "wheel", MPTCP_ORACLE_BUILD="plain")
    assert contents(wheel) == expected()
    outside = {path for path in tracked() if path.parts[0] in {"tests", "corpus", "docs"}}
    assert not {path for path in outside if not (source / path).exists()}


def test_no_build_leaves_c_files_or_a_build_folder(source: Path, wheel: Path) -> None:
    """A build writes neither generated C nor a ``build`` folder into the tree that it builds."""
    assert wheel.exists()
    assert not list(source.rglob("*.c"))
    assert not (source / "build").exists()
