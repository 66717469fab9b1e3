"""tshark as another witness of a capture: its fields, frame by frame, in its own words.

Every run has an empty configuration folder of its own, so that nobody's preferences, profiles or
plugins take part, and says aloud each preference that matters here.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mptcp_oracle.errors import AdapterError
from tests.common.machine import tool

__all__ = ["PREFERENCES", "TShark", "Values", "mptcp_fields", "version"]

#: All that tshark can tell of MPTCP, relative numbers, and no reassembly, which would move what
#: belongs to one frame into another.
PREFERENCES = {
    "mptcp.analyze_mptcp": "TRUE",
    "mptcp.analyze_mappings": "TRUE",
    "mptcp.intersubflows_retransmission": "TRUE",
    "mptcp.relative_sequence_numbers": "TRUE",
    "tcp.relative_sequence_numbers": "TRUE",
    "tcp.analyze_sequence_numbers": "TRUE",
    "tcp.desegment_tcp_streams": "FALSE",
    "tcp.reassemble_out_of_order": "FALSE",
    "tcp.check_checksum": "FALSE",
    "ip.defragment": "FALSE",
}
#: Seconds that one run may take; the recordings take less than one.
PATIENCE = 120
#: Stands between the values of a field; no value of a field asked for here has it.
BETWEEN = ";"
#: What tshark says on stderr without meaning that anything went wrong.
HARMLESS = re.compile(r'Running as user "root" and group "root"\. This could be dangerous\.')

#: The values of each field that a frame has, in the order of their octets.
Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TShark:
    """How to run it.

    Attributes:
        patience: Seconds until a run is given up.
        preferences: Preference names and values.
    """

    patience: float = PATIENCE
    preferences: Mapping[str, str]

    @classmethod
    def usual(cls) -> TShark:
        """With every MPTCP analysis switched on."""
        return cls(preferences=PREFERENCES)

    def run(self, *arguments: str) -> str:
        """Run tshark and give what it prints.

        Raises:
            AdapterError: It failed, took too long, or complained.
        """
        command = [tool("tshark"), *arguments]
        with tempfile.TemporaryDirectory(prefix="tshark-") as empty:
            environment = {
                "PATH": "/usr/bin:/bin",
                "HOME": empty,
                "XDG_CONFIG_HOME": empty,
                "WIRESHARK_CONFIG_DIR": empty,
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
            }
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=self.patience,
                    env=environment, stdin=subprocess.DEVNULL, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise AdapterError(
                    "tshark took too long", cause=f"more than {self.patience} s"
                ) from error
        said = [line for line in done.stderr.splitlines() if line and not HARMLESS.fullmatch(line)]
        if done.returncode or said:
            cause = f"exit status {done.returncode}: {' '.join(said)}"
            raise AdapterError("tshark failed", cause=cause)
        return done.stdout

    def dissect(
        self, capture: Path, fields: Iterable[str], *, passes: int = 1
    ) -> dict[int, Values]:
        """The fields of every frame of a capture.

        Args:
            capture: A capture file.
            fields: Names of fields.
            passes: 1, or 2 for those that look ahead.

        Returns:
            By frame number the fields that the frame has, each with all of its values.

        Raises:
            AdapterError: tshark failed, or printed something else than a table.
        """
        names = ["frame.number", *fields]
        arguments = ["-n", "-r", str(capture), *(["-2"] if passes == 2 else [])]
        for name, value in self.preferences.items():
            arguments += ["-o", f"{name}:{value}"]
        arguments += ["-T", "fields", "-E", "occurrence=a", "-E", f"aggregator={BETWEEN}"]
        for name in names:
            arguments += ["-e", name]
        frames: dict[int, Values] = {}
        for line in self.run(*arguments).splitlines():
            cells = line.split("\t")
            if len(cells) != len(names) or not cells[0].isdecimal():
                raise AdapterError("tshark printed no table", cause=repr(line))
            frames[int(cells[0])] = {
                name: tuple(cell.split(BETWEEN))
                for name, cell in zip(names[1:], cells[1:], strict=True)
                if cell
            }
        return frames


@cache
def version() -> tuple[int, ...]:
    """The version of the installed tshark, such as ``(4, 0, 17)``."""
    first = TShark(preferences={}).run("--version").partition("\n")[0]
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", first)
    if match is None:
        raise AdapterError("tshark does not say its version", cause=first)
    return tuple(int(number) for number in match.groups())


@cache
def mptcp_fields() -> tuple[str, ...]:
    """Every field of the installed tshark that speaks of MPTCP, in its order."""
    rows = (line.split("\t") for line in TShark(preferences={}).run("-G", "fields").splitlines())
    names = [row[2] for row in rows if row[0] == "F"]
    return tuple(
        dict.fromkeys(name for name in names if name.startswith(("mptcp.", "tcp.options.mptcp.")))
    )
