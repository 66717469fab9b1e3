"""Broken analyzers: each has one decision of the analyzer swapped for a plausible mistake.

A mistake is a piece of the analyzer's text and what somebody in error would have written in its
place. Inside :func:`broken` the functions concerned run from the changed text, wherever they were
imported to; nothing that the model shares with the analyzer (options, cryptography) is touched,
so the mistake is the analyzer's alone. A mistake in a loop shows on the plain engine only, which
is therefore forced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType

from tests.common.hostile import engine_form

__all__ = ["MISTAKES", "Edit", "Mistake", "broken", "function_at"]

FOREIGN = ("mptcp_oracle.crypto", "mptcp_oracle.options", "mptcp_oracle.model", "generators")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change: module and function (``mptcp_oracle.engine.mappings:absolute``), old, new text.

    The old text has to be in the module's source as often as ``times`` says.
    """

    where: str
    before: str
    after: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong analyzer.

    Attributes:
        name: What it does. who: Who would make it. edits: The changes, mostly one.
    """

    name: str
    who: str
    edits: tuple[Edit, ...]

    @property
    def in_loops(self) -> bool:
        """Whether it changes a loop of the engine."""
        return any(edit.where.startswith("mptcp_oracle.engine") for edit in self.edits)


@contextmanager
def broken(mistake: Mistake) -> Iterator[None]:
    """Inside, the analyzer makes this mistake.

    Raises:
        AssertionError: The analyzer's text has changed: let the mistake follow it.
    """
    functions = {edit.where: function_at(edit.where) for edit in mistake.edits}
    assert not {each.__module__ for each in functions.values()} & set(FOREIGN)
    texts = _changed(mistake)
    before = {where: function.__code__ for where, function in functions.items()}
    with ExitStack() as stack:
        if mistake.in_loops:
            stack.enter_context(engine_form("plain"))
        try:
            for where, function in functions.items():
                module, _, name = where.partition(":")
                function.__code__ = _code(texts[module], name)
            yield
        finally:
            for where, function in functions.items():
                function.__code__ = before[where]


@lru_cache(maxsize=64)
def _changed(mistake: Mistake) -> dict[str, CodeType]:
    """The compiled modules of a mistake, by name."""
    edits: defaultdict[str, list[Edit]] = defaultdict(list)
    for edit in mistake.edits:
        edits[edit.where.partition(":")[0]].append(edit)
    found = {}
    for name, changes in edits.items():
        path = Path(str(import_module(name).__file__))
        text = path.read_text()
        for edit in changes:
            seen = text.count(edit.before)
            assert seen == edit.times, f"{mistake.name}: {seen} times in {name}: {edit.before!r}"
            text = text.replace(edit.before, edit.after)
        found[name] = compile(text, str(path), "exec")
    return found


def function_at(where: str) -> FunctionType:
    """The function object that a place names."""
    module, _, name = where.partition(":")
    held: object = import_module(module)
    for part in name.split("."):
        held = getattr(held, part)
    assert isinstance(held, FunctionType), where
    return held


def _code(module: CodeType, name: str) -> CodeType:
    """The code of a function or method in a compiled module."""
    code = module
    for part in name.split("."):
        code = next(
            item for item in code.co_consts if isinstance(item, CodeType) and item.co_name == part
        )
    return code


ANALYSIS, ENGINE = "mptcp_oracle.analysis", "mptcp_oracle.engine"
ABSOLUTE, PIECES = f"{ENGINE}.mappings:absolute", f"{ENGINE}.mappings:pieces"
APPEND, RUN = f"{ENGINE}.segments:append", f"{ENGINE}.transmissions:Classifier.run"
PART, CARRY = (f"{ENGINE}.transmissions:Classifier.{name}" for name in ("part", "carry"))

MISTAKES = (
    # ------------------------------------------------------------------ who belongs together
    Mistake(
        "token from the wrong half of the hash",
        "Who reads 'most significant 32 bits' as the last ones that a hash prints.",
        (
            Edit(
                f"{ANALYSIS}.connections:_begin",
                "crypto.token(host.key, version)",
                "crypto.idsn(host.key, version) & 0xFFFFFFFF",
            ),
        ),
    ),
    Mistake(
        "version 0 hashed with SHA-256",
        "Who learned MPTCP from RFC 8684 and takes the old version for a matter of layout.",
        (
            Edit(
                f"{ANALYSIS}.connections:_begin",
                "crypto.token(host.key, version)",
                "crypto.token(host.key, 1)",
            ),
            Edit(
                f"{ANALYSIS}.connections:_begin",
                "crypto.idsn(host.key, version)",
                "crypto.idsn(host.key, 1)",
            ),
        ),
    ),
    Mistake(
        "join attached to the latest connection",
        "Who tested with captures of one connection, where the order of frames decides as well.",
        (
            Edit(
                f"{ANALYSIS}.owners:Owners.by_token",
                "owners = () if token is None else self._candidates(token, shake)\n",
                "begun = [\n"
                "            each for each in self._connections\n"
                "            if each.subflows[0].first_frame < shake.subflow.first_frame\n"
                "        ]\n"
                "        owners = ()\n"
                "        if token is not None and begun:\n"
                "            return Found(begun[-1], int(token == begun[-1].hosts[0].token))\n",
            ),
        ),
    ),
    Mistake(
        "every join opened by the initiator",
        "Who has only seen Linux clients, whose servers never open a subflow.",
        (Edit(f"{ANALYSIS}.connections:_join", "shake, found.source)", "shake, 0)"),),
    ),
    Mistake(
        "initial subflow is the first in the capture",
        "Who takes a capture that begins late, or a tap that sees one path, for a whole one.",
        (
            Edit(
                f"{ANALYSIS}.connections:assemble",
                'if shake.subflow.kind == "initial":',
                'if shake.subflow.kind == "initial" or len(build.shakes) == 1:',
            ),
        ),
    ),
    Mistake(
        "keys in one order for both join HMACs",
        "Who overlooks that each side puts its own key first (RFC 8684 section 3.2).",
        (
            Edit(
                f"{ANALYSIS}.joins:_pairs",
                "sender_key=joiner,\n                    receiver_key=owner,",
                "sender_key=owner,\n                    receiver_key=joiner,",
            ),
        ),
    ),
    Mistake(
        "ADD_ADDR HMAC from the left half",
        "Who treats it like the HMAC of a SYN/ACK, which is truncated at the other end.",
        (
            Edit(
                f"{ANALYSIS}.story:_Teller.add_address",
                "crypto.add_addr_hmac(",
                "crypto.add_addr_digest(",
            ),
            Edit(
                f"{ANALYSIS}.story:_Teller.add_address",
                "right = expected == option.hmac",
                "right = expected[:8] == option.hmac",
            ),
        ),
    ),
    Mistake(
        "checksums in use only if both hosts ask",
        "Who takes flag A for an offer; one host that asks is enough (RFC 8684 section 3.1).",
        (Edit(f"{ANALYSIS}.connections:_begin", "if any(offers):", "if all(offers):"),),
    ),
    Mistake(
        "REMOVE_ADDR names one address",
        "Who skips that its length says how many Address IDs follow (RFC 8684 section 3.4.2).",
        (
            Edit(
                f"{ANALYSIS}.story:_Teller.remove_addresses",
                "for address_id in option.address_ids:",
                "for address_id in option.address_ids[:1]:",
            ),
        ),
    ),
    Mistake(
        "B flag read as the receiver's",
        "Who takes 'use me as backup' for 'I use you as backup'.",
        (
            Edit(
                f"{ANALYSIS}.story:_Teller.open",
                "subflow.backup[role] = message[1].backup",
                "subflow.backup[1 - role] = message[1].backup",
            ),
        ),
    ),
    # ------------------------------------------------------------------ numbers
    Mistake(
        "first octet counted as the IDSN itself",
        "Who forgets that the handshake takes the IDSN, as a SYN takes its sequence number.",
        (
            Edit(
                f"{ANALYSIS}.dataplane:_base",
                "host.base = host.idsn\n",
                "host.base = (host.idsn + 1) & MASK\n",
            ),
        ),
    ),
    Mistake(
        "DSN width from the DATA_ACK-size flag",
        "Who confuses flags a and m, which are equal in all that Linux sends.",
        (Edit(ABSOLUTE, "elif map_flags[m] & 0x08:", "elif dss[i] & 0x02:"),),
    ),
    Mistake(
        "short DATA_ACK extended with the sender's own number",
        "Who keeps one upper half for a segment, where each direction has its own.",
        (
            Edit(
                ABSOLUTE,
                "value = data_ack[i]\n"
                "            if dss[i] & 0x02:\n"
                "                value = minus64(value, idsn[d])\n"
                "            else:\n"
                "                value = reference[d] + "
                "signed32(value - signed32(idsn[d]) - reference[d])\n",
                "value = data_ack[i]\n"
                "            if not dss[i] & 0x02:\n"
                "                value = (idsn[d ^ 1] >> 32) * WRAP_32 + value\n"
                "            value = minus64(value, idsn[d])\n",
            ),
        ),
    ),
    Mistake(
        "wrap of the 32-bit DSN forgotten",
        "Who puts the upper half of the IDSN before every short number.",
        (
            Edit(
                ABSOLUTE,
                "value = reference[d] + signed32(value - signed32(idsn[d]) - reference[d])",
                "value = value - (idsn[d] & LOW_32)",
                times=2,
            ),
        ),
    ),
    Mistake(
        "wrap of the TCP sequence number forgotten",
        "Who subtracts the initial sequence number and tests with short transfers.",
        (
            Edit(
                f"{ENGINE}.streams:locate",
                "relative = top[h] + signed32(seq - base[h] - top[h])",
                "relative = seq - base[h]",
            ),
        ),
    ),
    # ------------------------------------------------------------------ mappings
    Mistake(
        "SYN data counted in the data sequence space",
        "Who takes SYN data for the first mapped octets (RFC 8684 appendix B).",
        (
            Edit(
                ABSOLUTE,
                "value = first_skew[h] if map_flags[m] & 0x40 else skew[h]",
                "value = 0",
            ),
        ),
    ),
    Mistake(
        "MP_CAPABLE with data is no mapping",
        "Who knows version 0, where only a DSS maps data.",
        (Edit(APPEND, "if payload == 0:", "if payload >= 0:"),),
    ),
    Mistake(
        "one mapping for a whole segment",
        "Who looks up the first octet of a segment and lets its mapping cover the rest.",
        (
            Edit(
                RUN,
                "y = self.piece_end[p] if self.piece_end[p] < end else end",
                "y = end",
            ),
            Edit(
                f"{ANALYSIS}.parts:cut_by_mapping",
                "stop = np.minimum(high[at], end)",
                "stop = end",
            ),
        ),
    ),
    Mistake(
        "mapping in advance ignored",
        "Who reads mappings only where there is payload for them.",
        (
            Edit(
                APPEND,
                "if f & 0x04 == 0:",
                "if f & 0x04 == 0 or (payload == 0 and f & 0x10 == 0):",
            ),
        ),
    ),
    Mistake(
        "later mapping of the same octets replaces the earlier",
        "Who stores mappings in a dictionary by their start.",
        (
            Edit(PIECES, "heap[(slot - 1) >> 1] > m", "heap[(slot - 1) >> 1] < m"),
            Edit(PIECES, "heap[child + 1] < heap[child]", "heap[child + 1] > heap[child]"),
            Edit(PIECES, "heap[child] >= other", "heap[child] <= other"),
        ),
    ),
    Mistake(
        "DATA_FIN counted as one beyond the Data-Level Length",
        "Who takes the length for payload alone, as it is in TCP (RFC 8684 section 3.3.3).",
        (
            Edit(
                f"{ANALYSIS}.closing:_data_fin",
                "dsn = relative + max(option.dll or 1, 1) - 1",
                "dsn = relative + max(option.dll or 1, 1)",
            ),
        ),
    ),
    # ------------------------------------------------------------------ transmissions, ends
    Mistake(
        "TCP retransmission counted as a copy",
        "Who compares data sequence numbers and never asks which subflow carried them.",
        (
            Edit(
                CARRY,
                "if again:\n                    kind = 1\n                elif map_.sole[node] "
                "== h:\n                    kind = 2\n",
                "if False:\n                    kind = 2\n",
            ),
        ),
    ),
    Mistake(
        "zero-window probe counted as data again",
        "Who has never seen a receiver that does not read.",
        (Edit(PART, "and self.shut[d]\n", "and False\n"),),
    ),
    Mistake(
        "capture duplicates counted as retransmissions",
        "Who never captured on all interfaces at once.",
        (
            Edit(
                APPEND,
                "apart < 1000000000\n            and sequence",
                "False\n            and sequence",
            ),
        ),
    ),
    Mistake(
        "previous carrier of the first octet only",
        "Who looks up a segment by its first octet, though its others may have been sent later.",
        (
            Edit(
                CARRY,
                "if self.prior < behind < self.row:",
                "if self.prior < 0 <= behind < self.row:",
            ),
        ),
    ),
    Mistake(
        "closed when one DATA_FIN is acknowledged",
        "Who takes the end of one direction for the end of the connection.",
        (
            Edit(
                f"{ANALYSIS}.closing:_settle",
                "if fins[0] is not None and fins[1] is not None and all(f and f.acknowledged "
                "for f in fins):",
                "if any(f is not None and f.acknowledged for f in fins):",
            ),
        ),
    ),
    Mistake(
        "one FIN ends a subflow",
        "Who counts FINs without asking who sent them.",
        (
            Edit(
                f"{ANALYSIS}.closing:end_subflow",
                "if len(fins) == 2 and subflow.end is not None:",
                "if subflow.end is not None:",
            ),
        ),
    ),
)  # fmt: skip
"""The broken analyzers."""
