"""Who may import whom: the layers of the project as data, checked in every module's text."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.common.checkout import ROOT, modules
from tests.common.imports import imports

LEAVES = {
    "constants", "crypto", "errors", "facts", "options", "seq", "spec", "verdict",
    "version",
}  # fmt: skip
ANALYZER = [{"engine"}, {"wire"}, {"analysis"}, {"rules"}, {"oracle"}]
CONSUMERS = {"counters", "diff", "dissectors", "report"}
PICTURES = {"pictures"}
MODEL = [{"encode"}, {"model"}, {"generators"}]
TOP = {"hunt", "live", "conformance"}
ENTRIES = {"__main__", "cli", "pytest_plugin"}
FACE = ""  # mptcp_oracle/__init__.py itself, for its version and its public names


def _allowed() -> dict[str, set[str]]:
    """For each unit (a module or package right under mptcp_oracle), the units it may import."""
    allowed = {unit: set(LEAVES) for unit in LEAVES}
    for column in (ANALYZER, MODEL):
        below = set(LEAVES)
        for layer in column:
            below |= layer
            allowed |= {unit: set(below) for unit in layer}
    consumers = LEAVES.union(*ANALYZER) | CONSUMERS
    allowed |= {unit: consumers | {FACE} for unit in CONSUMERS}
    pictured = LEAVES.union(*ANALYZER) | {"report", FACE}
    allowed |= dict.fromkeys(PICTURES, pictured)
    top = consumers.union(*MODEL) | PICTURES | TOP | {FACE}
    allowed |= {unit: set(top) for unit in TOP}
    allowed |= dict.fromkeys(ENTRIES, top | ENTRIES)
    allowed["corpus"] = set()  # recordings alone
    allowed[FACE] = {"errors", "analysis", "oracle", "report", "verdict", "version"}
    return allowed


ALLOWED = _allowed()

# Package of somebody else: the units (or single modules) that may import it at all, and whether
# they may do so at module level.  What is not in this table needs a reason in docs/decisions/.
OUTSIDE = {
    "backports": ({"wire"}, True),  # backports.zstd; from Python 3.14 on compression.zstd
    "click": (
        {
            "cli",
            "report",
            "pictures.plot_command",
            "pictures.report_command",
            "conformance.coverage_command",
            "live.active.command",
            "live.command",
            "generators.corpus_command",
            "generators.generate_command",
            "hunt.command",
        },
        True,
    ),
    "compression": ({"wire"}, True),
    "cython": ({"engine"}, True),
    "dpkt": ({"dissectors.with_dpkt"}, False),  # a program of its own imports it
    "hypothesis": (
        {"generators", "hunt", "pytest_plugin", "conformance", "live.stateful.campaign"},
        True,
    ),
    "intervaltree": ({"model", "generators"}, True),
    "matplotlib": ({"pictures"}, False),  # an extra: plots as files
    "numpy": (
        {
            "wire",
            "analysis",
            "rules",
            "oracle",
            "report",
            "pictures",
            "live",
            "diff",
            "dissectors",
            "counters",
        },
        False,
    ),
    "pytest": ({"pytest_plugin", "conformance"}, True),
    "redis": ({"hunt.exchange"}, False),  # an extra: hunts that share findings through a server
    "scapy": ({"generators.emit"}, True),
}

# Names computed at run time: each of these modules picks from a constant table of its own.
MAY_COMPUTE = {"mptcp_oracle", "mptcp_oracle.engine", "mptcp_oracle.generators"}


def violations(module: str, source: str, known: set[str]) -> Iterator[str]:
    """Every sentence in which a module with this text breaks the rule."""
    unit, path = _unit(module), module.removeprefix("mptcp_oracle.")
    if unit not in ALLOWED:
        yield f"{module}: {unit!r} has no place in the table of layers"
        return
    for item in imports(source, known=known):
        where = f"{module}:{item.line}: imports {item.target}"
        root = item.target.partition(".")[0]
        if item.target == "?":
            if module not in MAY_COMPUTE:
                yield f"{where}: relative, or a name computed at run time"
        elif root == "mptcp_oracle":
            target = _unit(item.target)
            if target != unit and target not in ALLOWED[unit]:
                yield f"{where}: {unit or 'the package face'} may not see {target or 'the face'}"
        elif root not in sys.stdlib_module_names:
            users, eagerly = OUTSIDE.get(root, (set(), False))
            if not {unit, path} & users:
                yield f"{where}: {root} has no business in {unit or 'the package face'}"
            elif item.eager and not item.typing and not eagerly:
                yield f"{where}: {root} is for use inside functions only"


def _unit(module: str) -> str:
    return module.split(".")[1] if "." in module else FACE


def test_every_module_keeps_the_import_rule() -> None:
    """No module imports from a layer above it, nor from the other column, nor a stranger."""
    known = set(modules())
    found = [
        sentence
        for module, path in modules().items()
        for sentence in violations(module, (ROOT / path).read_text(), known)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mptcp_oracle.wire.capture", "from mptcp_oracle.analysis import Trace"),
        ("mptcp_oracle.wire.capture", "def f():\n    from mptcp_oracle import encode"),
        ("mptcp_oracle.analysis.joins", "import mptcp_oracle.model.world"),
        ("mptcp_oracle.analysis.joins", "if TYPE_CHECKING:\n    from mptcp_oracle import model"),
        ("mptcp_oracle.generators.emit", "import mptcp_oracle.wire.mptcp"),
        ("mptcp_oracle.encode", "from mptcp_oracle.wire import mptcp"),
        ("mptcp_oracle.errors", "import mptcp_oracle"),
        ("mptcp_oracle.report.table", "from mptcp_oracle.cli import main"),
        ("mptcp_oracle.report.text", "from mptcp_oracle.pictures import page"),
        ("mptcp_oracle.pictures.page", "from mptcp_oracle.diff import Report"),
        ("mptcp_oracle.pictures.files", "import matplotlib"),
        ("mptcp_oracle.wire.capture", "import scapy.all"),
        ("mptcp_oracle.generators.strategies", "def f():\n    import scapy.all"),
        ("mptcp_oracle.analysis.joins", "import numpy as np"),
        ("mptcp_oracle.analysis.joins", "class A:\n    import numpy"),
        ("mptcp_oracle.engine.records", "def f():\n    import numpy"),
        ("mptcp_oracle.analysis.joins", "def f():\n    import rich.table"),
        ("mptcp_oracle.analysis.joins", "import requests"),
        ("mptcp_oracle.analysis.joins", "from . import mappings"),
        ("mptcp_oracle.analysis.joins", "importlib.import_module(name)"),
        ("mptcp_oracle.analysis.joins", "__import__('mptcp_oracle.encode')"),
        ("mptcp_oracle.generators.emit", "import generators.strategies"),
        ("mptcp_oracle.newcomer", ""),
    ],
)
def test_a_planted_violation_is_found(module: str, source: str) -> None:
    """The check can fail: each of these texts breaks the rule and is reported."""
    known = {*modules(), "mptcp_oracle.encode", "mptcp_oracle.model", "mptcp_oracle.wire.mptcp"}
    assert list(violations(module, source, known))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mptcp_oracle.rules.joining", "from mptcp_oracle.analysis import Trace"),
        ("mptcp_oracle.analysis.joins", "def f():\n    import numpy as np"),
        ("mptcp_oracle.analysis.joins", "if TYPE_CHECKING:\n    import numpy as np"),
        ("mptcp_oracle.generators.emit", "import scapy.all"),
        ("mptcp_oracle.cli", "import click\nfrom mptcp_oracle import __version__"),
        ("mptcp_oracle.wire.capture", "import mmap\nfrom mptcp_oracle.wire import notes"),
        ("mptcp_oracle.live.record", "from mptcp_oracle import analysis, generators"),
    ],
)
def test_what_the_rule_allows_passes(module: str, source: str) -> None:
    """The check is no stricter than the rule."""
    known = {*modules(), "mptcp_oracle.wire.notes", "mptcp_oracle.analysis"}
    assert list(violations(module, source, known)) == []
