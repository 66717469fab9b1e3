"""The two programs that are compared, and exactly how each is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mptcp_oracle.errors import AdapterError

__all__ = ["FIELDS", "PREFERENCES", "find", "known_fields", "ours", "tshark"]

#: In-depth analysis on, as far as tshark has it; relative numbers; no reassembly of TCP streams.
PREFERENCES = (
    "mptcp.analyze_mptcp:TRUE",
    "mptcp.analyze_mappings:TRUE",
    "mptcp.intersubflows_retransmission:TRUE",
    "mptcp.relative_sequence_numbers:TRUE",
    "tcp.relative_sequence_numbers:TRUE",
    "tcp.desegment_tcp_streams:FALSE",
)

#: What tshark prints of each frame: its own analysis and every field of the options.
FIELDS = (
    "frame.number",
    "tcp.stream",
    "mptcp.stream",
    "mptcp.master",
    "mptcp.analysis.subflows",
    "mptcp.expected_token",
    "mptcp.expected_idsn",
    "mptcp.dsn",
    "mptcp.rawdsn64",
    "mptcp.dss.dsn",
    "mptcp.ack",
    "mptcp.related_mapping",
    "mptcp.reinjection_of",
    "mptcp.reinjected_in",
    "mptcp.connection.echoed_key_mismatch",
    "mptcp.connection.missing_algorithm",
    "mptcp.connection.unsupported_algorithm",
    "mptcp.dss.infinite_mapping",
    "mptcp.dss.missing_mapping",
    "mptcp.rm_addr.count",
    "tcp.options.mptcp.subtype",
    "tcp.options.mptcp.version",
    "tcp.options.mptcp.flags",
    "tcp.options.mptcp.checksumreq.flags",
    "tcp.options.mptcp.extensibility.flag",
    "tcp.options.mptcp.nomoresubflows.flag",
    "tcp.options.mptcp.sha1.flag",
    "tcp.options.mptcp.sha256.flag",
    "tcp.options.mptcp.sendkey",
    "tcp.options.mptcp.recvkey",
    "tcp.options.mptcp.backup.flag",
    "tcp.options.mptcp.addrid",
    "tcp.options.mptcp.recvtok",
    "tcp.options.mptcp.sendrand",
    "tcp.options.mptcp.sendtrunchmac",
    "tcp.options.mptcp.sendhmac",
    "tcp.options.mptcp.datafin.flag",
    "tcp.options.mptcp.dseqn8.flag",
    "tcp.options.mptcp.dseqnpresent.flag",
    "tcp.options.mptcp.dataack8.flag",
    "tcp.options.mptcp.dataackpresent.flag",
    "tcp.options.mptcp.rawdataack",
    "tcp.options.mptcp.rawdataseqno",
    "tcp.options.mptcp.subflowseqno",
    "tcp.options.mptcp.datalvllen",
    "tcp.options.mptcp.checksum",
    "tcp.options.mptcp.ipver",
    "tcp.options.mptcp.echo",
    "tcp.options.mptcp.ipv4",
    "tcp.options.mptcp.ipv6",
    "tcp.options.mptcp.port",
    "tcp.options.mptcp.addaddrtrunchmac",
    "tcp.options.mptcp.flag_T.flag",
    "tcp.options.mptcp.rst_reason",
)


def ours(program: str, capture: Path) -> list[str]:
    """The command line of ``mptcp-oracle``."""
    return [program, "analyze", "--json", str(capture)]


def judging(program: str, capture: Path) -> list[str]:
    """The command line of ``mptcp-oracle`` that judges."""
    return [program, "check", str(capture)]


def tshark(program: str, capture: Path, fields: tuple[str, ...] = FIELDS) -> list[str]:
    """The command line of ``tshark``: one pass, in-depth analysis, fields as output."""
    command = [program, "-n", "-r", str(capture)]
    for preference in PREFERENCES:
        command += ["-o", preference]
    command += ["-T", "fields"]
    for field in fields:
        command += ["-e", field]
    return command


def find(name: str, given: str | None) -> str:
    """The path of a program: the one given, else beside this Python, else on the PATH.

    Raises:
        AdapterError: There is none.
    """
    beside = Path(sys.executable).parent / name
    if given is None and beside.exists():
        return str(beside)
    found = shutil.which(given or name)
    if found is None:
        raise AdapterError(
            f"{given or name} is not there",
            hint="install the project (pip install .) and tshark, or say where they are",
        )
    return os.path.abspath(found)


def known_fields(program: str) -> tuple[str, ...]:
    """Those of :data:`FIELDS` that this tshark has; other versions lack a few."""
    done = subprocess.run(
        [program, "-G", "fields"], capture_output=True, text=True, check=True, timeout=120
    )
    known = {
        parts[2]
        for line in done.stdout.splitlines()
        if (parts := line.split("\t"))[0] == "F" and len(parts) > 2
    }
    return tuple(field for field in FIELDS if field in known)
