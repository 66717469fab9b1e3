"""tshark as a witness of a capture: its fields, frame by frame, in its own words.

Every run has an empty configuration folder of its own, so that nobody's preferences, profiles or
plugins take part, and says aloud each preference that matters here. The rest of the environment is
the caller's: whoever runs a build of his own can let its sanitizers speak.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mptcp_oracle.dissectors.dissector import Field, Words
from mptcp_oracle.dissectors.lines import BETWEEN, Line
from mptcp_oracle.dissectors.program import PATIENCE, Program, located
from mptcp_oracle.dissectors.sharkd import Sharkd
from mptcp_oracle.dissectors.tshark_fields import FIELDS, WITNESSES
from mptcp_oracle.dissectors.tshark_words import innermost, outer
from mptcp_oracle.errors import AdapterError

__all__ = ["PREFERENCES", "TShark"]

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
#: Digits of a frame's number at most.
DIGITS = 10
#: Tells which network layer a frame's addresses are of.
LAYERS = "frame.protocols"
#: Begins what tshark says of fields that it does not know.
UNKNOWN = "Some fields aren't valid"
#: Fields whose values have names that a column shows.
WORDED = ("tcp.options.mptcp.subtype", "tcp.options.mptcp.rst_reason")
#: What tshark says on stderr though nothing went wrong with the run. A dissector that
#: gives up on a frame says so in the frame's fields too.
HARMLESS = re.compile(
    r'Running as user "root" and group "root"\. This could be dangerous\.'
    r"|\s*\*\* \(\S+\) [\d:.]+ \[Epan WARNING\] -- Dissector bug, protocol .*"
)
FOLDERS = ("XDG_CONFIG_HOME", "WIRESHARK_CONFIG_DIR")


@dataclass(frozen=True, kw_only=True)
class TShark:
    """How to run it.

    Attributes:
        path: The program; by default the one on the search path.
        passes: 1, or 2 for fields that look ahead.
        patience: Seconds until a run is given up.
        preferences: Preference names and values.
        name: What the command line calls it. fields: What is compared. silent: Its silence speaks.
    """

    path: str | None = None
    passes: int = 1
    patience: float = PATIENCE
    preferences: Mapping[str, str] = field(default_factory=lambda: PREFERENCES)
    name: str = "tshark"
    fields: tuple[Field, ...] = FIELDS
    silent: bool = True
    _answers: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def program(self) -> Program:
        """The program.

        Raises:
            AdapterError: It is not installed.
        """
        return Program(
            command=(located("tshark", self.path),),
            patience=self.patience,
            harmless=HARMLESS,
            folders=FOLDERS,
        )

    def version(self) -> str:
        """Its version, such as ``4.0.17``."""
        return self.program.version()

    @cached_property
    def _known(self) -> tuple[str, ...]:
        """Every field that it knows, protocols included, in its order."""
        rows = (line.split("\t") for line in self.program.lines("-G", "fields"))
        return tuple(row[2] for row in rows if row[0] in "FP")

    @cached_property
    def _wanted(self) -> tuple[str, ...]:
        """The fields of the table, and witnesses; in front what is looked up in each line."""
        return tuple(dict.fromkeys([LAYERS, "tcp.stream", *self._table]))

    @property
    def _table(self) -> list[str]:
        return [*(each.name for each in self.fields), *WITNESSES]

    @cached_property
    def _asked(self) -> tuple[str, ...]:
        """Those of them that it knows."""
        known = set(self._known)
        return tuple(name for name in self._wanted if name in known)

    @property
    def mptcp_fields(self) -> tuple[str, ...]:
        """Those that speak of MPTCP."""
        mine = (name for name in self._known if name.startswith(("mptcp.", "tcp.options.mptcp.")))
        return tuple(dict.fromkeys(mine))

    def claims(self) -> frozenset[str]:
        """The fields of the table that it knows."""
        names = {each.name for each in self.fields}
        return frozenset(names if self._answers.get("all") else names & set(self._known))

    def reproduce(self, capture: str, field: str) -> str:
        """How a person sees a field of a capture."""
        words = [self.path or "tshark", *self._options(capture), "-T", "fields"]
        return shlex.join([*words, "-e", "frame.number", "-e", field])

    def frames(self, capture: Path) -> Iterator[tuple[int, Words]]:
        """What it says of each frame, of addresses in tunnels the innermost ones.

        It is asked for all fields of the table, and for its list of fields only if it refuses
        some: the list takes it as long as a small capture.
        """
        if self._answers.get("all", True):
            try:
                yield from self._frames(capture, self._wanted)
            except AdapterError as error:
                if UNKNOWN not in str(error.cause):
                    raise
                self._answers["all"] = False
            else:
                self._answers["all"] = True
                return
        yield from self._frames(capture, self._asked)

    def _frames(self, capture: Path, names: tuple[str, ...]) -> Iterator[tuple[int, Words]]:
        for number, text in self._lines(capture, names):
            words: Words = Line(names, text)
            if outer(text[: text.index("\t")])[0]:
                words = innermost(words)
            yield number, words

    def command(self, capture: Path, names: Iterable[str] | None = None) -> list[str]:
        """The command line of a run that prints fields of every frame, all by default."""
        words = [*self.program.command, *self._options(str(capture)), "-T", "fields"]
        words += ["-E", "occurrence=a", "-E", f"aggregator={BETWEEN}", "-e", "frame.number"]
        for name in self._asked if names is None else names:
            words += ["-e", name]
        return words

    def dissect(self, capture: Path, fields: Iterable[str]) -> Iterator[tuple[int, Words]]:
        """The fields of every frame of a capture.

        Args:
            capture: A capture file.
            fields: Names of fields.

        Yields:
            Frame number, and the fields that the frame has, each with all of its values.

        Raises:
            AdapterError: tshark failed, or printed something else than a table.
        """
        names = tuple(fields)
        return ((number, Line(names, text).words) for number, text in self._lines(capture, names))

    def _lines(self, capture: Path, names: tuple[str, ...]) -> Iterator[tuple[int, str]]:
        """Each frame's number, and a line with its fields."""
        _, *arguments = self.command(capture, names)
        for line in self.program.lines(*arguments):
            number, _, text = line.partition("\t")
            known = number.isdecimal() and len(number) <= DIGITS
            if line.count("\t") != len(names) or not known:
                raise AdapterError("tshark printed no table", cause=repr(line[:200]))
            yield int(number), text

    def quicker(self) -> Sharkd | None:
        """The sharkd beside it, if there is one."""
        path = Path(self.program.command[0]).with_name("sharkd")
        if not path.is_file():
            return None
        known = set(self._asked)
        words: dict[str, dict[str, str]] = {}
        for line in self.program.lines("-G", "values"):
            kind, *row = line.split("\t")
            if kind == "V" and row[0] in WORDED and len(row) == 3:
                words.setdefault(row[0], {})[row[2]] = str(int(row[1], 16))
        return Sharkd(
            path=str(path),
            preferences=self.preferences,
            words=words,
            # Each request is another pass to sharkd, and some fields depend on which.
            asked=tuple(name for name in dict.fromkeys(self._table) if name in known),
            known=self.claims(),
            patience=self.patience,
            number=self.version(),
            fields=self.fields,
            folders=FOLDERS,
        )

    def _options(self, capture: str) -> list[str]:
        """The arguments of every run on a capture."""
        arguments = ["-n", "-r", capture, *(["-2"] if self.passes == 2 else [])]
        for name, value in self.preferences.items():
            arguments += ["-o", f"{name}:{value}"]
        return arguments
