"""What a command does not need, it does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.common.checkout import ROOT
from tests.common.tiny import SYN_PCAP

HEAVY = {
    "_pytest", "hypothesis", "intervaltree", "matplotlib", "pandas", "plotly", "pytest", "scapy"
}  # fmt: skip


def imported(*arguments: str) -> set[str]:
    """The top packages that a fresh interpreter imports while it runs with these arguments."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert done.returncode == 0, "\n".join(
        line for line in done.stderr.splitlines() if not line.startswith("import time:")
    )
    return {line.rsplit("|", 1)[1].strip().partition(".")[0] for line in lines}


def test_the_package_itself_imports_nothing_of_others() -> None:
    """``import mptcp_oracle`` needs the standard library only."""
    own = imported("-c", "pass")
    found = imported("-c", "import mptcp_oracle") - own
    assert not {name for name in found if name not in sys.stdlib_module_names} - {"mptcp_oracle"}


def test_analyze_does_not_import_what_only_generation_needs(tmp_path: Path) -> None:
    """Analyzing a small capture imports no generator, no test tool and no plotting library."""
    capture = tmp_path / "syn.pcap"
    capture.write_bytes(SYN_PCAP)
    assert not imported("-m", "mptcp_oracle.cli", "analyze", str(capture)) & HEAVY


def test_a_report_does_not_import_what_only_plots_need(tmp_path: Path) -> None:
    """Neither a report nor an xplot file imports the library that draws the other files."""
    capture = tmp_path / "syn.pcap"
    capture.write_bytes(SYN_PCAP)
    output = str(tmp_path / "report.html")
    command = ["-m", "mptcp_oracle.cli"]
    assert not imported(*command, "report", str(capture), "-o", output) & HEAVY
    source = str(ROOT / "corpus/kernel/close-without-data.pcapng")
    output = str(tmp_path / "plot.xpl")
    assert not imported(*command, "plot", source, "-o", output) & HEAVY


def test_the_generators_are_imported_when_they_are_asked_for() -> None:
    """``import mptcp_oracle.generators`` alone imports neither scapy nor Hypothesis."""
    assert not imported("-c", "import mptcp_oracle.generators") & HEAVY
    asked = "from mptcp_oracle.generators import captures"
    assert "hypothesis" in imported("-c", asked)


@pytest.mark.parametrize("name", ["json", "hypothesis"])
def test_an_import_is_seen(name: str) -> None:
    """The check can fail: an import that happens is in the set."""
    assert name in imported("-c", f"import {name}")
