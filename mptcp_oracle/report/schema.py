"""The JSON Schema of ``mptcp-oracle analyze --json``; ``--json-schema`` prints it.

Objects are open: a later version may add keys. What is listed under ``required`` stays.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["ANALYZE"]

Schema: TypeAlias = dict[str, object]

_ROLES = ("initiator", "listener")
_ENDS = ("source", "destination")
_CLASSES = (
    "first_seen", "tcp_retransmission", "remap", "reinjection", "redundant", "unclassified",
    "zero_window_probe",
)  # fmt: skip


def _of(kind: str, about: str, *, maybe: bool = False, **more: object) -> Schema:
    """A value of one type; ``maybe`` allows ``null`` too."""
    return {"type": [kind, "null"] if maybe else kind, "description": about, **more}


def _object(about: str, /, **keys: Schema) -> Schema:
    """An object with these keys."""
    return _of("object", about, required=list(keys), properties=dict(keys))


def _also(schema: Schema, /, **optional: Schema) -> Schema:
    """The same object with keys that need not be there."""
    known = schema["properties"]
    assert isinstance(known, dict)
    return {**schema, "properties": {**known, **optional}}


def _explained(schema: Schema, /) -> Schema:
    """The same object, in which ``unknown`` may explain what is ``null``."""
    return _also(schema, unknown=_ref("unknown"))


def _or_null(schema: Schema, /) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _list(name: str, about: str) -> Schema:
    return _of("array", about, items=_ref(name))


def _pair(names: tuple[str, str], about: str, each: Schema) -> Schema:
    return _explained(_object(about, **dict.fromkeys(names, each)))


_FRAME = _of("integer", "Frame number, from 1 as in Wireshark.", minimum=1)
_MAYBE_FRAME = _of("integer", "Frame number, from 1.", maybe=True, minimum=1)
_COUNT = _of("integer", "How many.", minimum=0)
_OCTETS = _of("integer", "Octets.", minimum=0)
_ID = _of("integer", "Ordinal in the capture, from 0, by first frame.", minimum=0)
_PORT = _of("integer", "TCP port.", minimum=0)
_TEXT = _of("string", "One sentence for people.")


def _transmissions() -> Schema:
    about = "Payload octets sent, by class; unmapped ones are under no mapping."
    return _also(_object(about, **dict.fromkeys(_CLASSES, _OCTETS)), unmapped=_OCTETS)


def _subflow(names: tuple[str, str], about: str, **more: Schema) -> Schema:
    """A subflow whose two ends are called ``names``."""
    who = _of("string", "Which end.", maybe=True, enum=[*names, None])
    return _explained(_object(
        about,
        id=_ID,
        kind=_of("string", "Initial (Wireshark: master) or joined.", maybe=True,
                 enum=["initial", "joined", None]),
        opened_by=who,
        source=_ref("endpoint"),
        destination=_ref("endpoint"),
        first_frame=_FRAME,
        last_frame=_FRAME,
        frames=_of("integer", "Its segments, capture duplicates aside.", minimum=1),
        octets=_pair(names, "Payload sent, TCP retransmissions and probes aside.", _OCTETS),
        address_ids=_pair(names, "Address ID of each end.",
                          _of("integer", "0 to 255.", maybe=True, minimum=0)),
        backup=_pair(names, "The last B flag that each end sent.",
                     _of("boolean", "B.", maybe=True)),
        join=_of("string", "How the checks of MP_JOIN came out; null if it is no join.", maybe=True,
                 enum=["valid", "invalid", "refused", "unknown", None]),
        end=_explained(_or_null(_object(
            "How it ended; null while open.",
            how=_of("string", "FIN by both ends, by one, or RST.",
                    enum=["fin", "half_fin", "reset"]),
            by=who,
            reason=_of("integer", "MP_TCPRST reason; null without one.", maybe=True, minimum=0),
            frame=_FRAME,
        ))),
        notes=_list("note", "What was odd."),
        filter=_of("string", "Wireshark display filter."),
        **more,
    ))  # fmt: skip


_DEFINITIONS: Schema = {
    "unknown": _of("object", "Key of the same object to the reason why it is not known.",
                   additionalProperties={"type": "string"}),
    "endpoint": _object(
        "One end of a TCP connection.", address=_of("string", "IPv4 or IPv6."), port=_PORT
    ),
    "note": _object(
        "Something odd, counted.",
        code=_of("string", "Stable identifier."),
        text=_TEXT,
        count=_of("integer", "How often.", minimum=1),
        frame=_of("integer", "The first frame that shows it; null if none does.", maybe=True,
                  minimum=0),
    ),
    "mismatch": _object(
        "Two values that have to be equal and are not.",
        what=_of("string", "What differs.",
                 enum=["token", "idsn", "echoed_key", "join_hmac", "add_addr_hmac"]),
        host=_of("string", "Who sent the wrong one.", maybe=True, enum=[*_ROLES, None]),
        frame=_FRAME,
        expected=_of("string", "What follows from the keys, hexadecimal."),
        seen=_of("string", "What was sent, hexadecimal."),
        why=_TEXT,
        section=_of("string", "Section of RFC 8684."),
    ),
    "address": _object(
        "An address announced, echoed or withdrawn.",
        frame=_FRAME,
        subflow=_ID,
        host=_of("string", "Sender.", enum=list(_ROLES)),
        what=_of("string", "Which.", enum=["add", "echo", "remove"]),
        address_id=_of("integer", "0 to 255.", minimum=0),
        address=_of("string", "IPv4 or IPv6; null for a removal.", maybe=True),
        port=_of("integer", "TCP port; null without one.", maybe=True, minimum=0),
        hmac=_of("boolean", "Whether the HMAC is right; null without one or without keys.",
                 maybe=True),
    ),
    "event": _object(
        "One line of the time line.",
        frame=_FRAME,
        time=_of("string", "Nanoseconds since the epoch.", pattern="^-?[0-9]+$"),
        subflow=_ID,
        host=_of("string", "Sender.", maybe=True, enum=[*_ROLES, None]),
        what=_of("string", "Flags and options in packetdrill's notation."),
    ),
    "host": _explained(_object(
        "One end of a connection.",
        address=_of("string", "Its end of the initial subflow.", maybe=True),
        port=_of("integer", "TCP port.", maybe=True, minimum=0),
        key=_of("string", "64-bit key.", maybe=True, pattern="^[0-9a-f]{16}$"),
        token=_of("string", "As `ip mptcp monitor` prints it.", maybe=True,
                  pattern="^[0-9a-f]{8}$"),
        idsn=_of("string", "Initial data sequence number.", maybe=True, pattern="^[0-9]+$"),
        octets=_of("integer", "Distinct application octets sent.", minimum=0),
        c_flag=_of("boolean", "It asks for no joins to this address; null in version 0.",
                   maybe=True),
        transmissions=_transmissions(),
        scheduler=_explained(_also(_object(
            "What the capture shows of its scheduler; never a violation.",
            redundant=_of("boolean", "Copies to several subflows on purpose.", maybe=True),
            share=_of("number", "Part of its octets sent on two or more subflows.", maybe=True),
            why=_TEXT,
        ), reordered=_of("number", "Part of its octets sent below the highest DSN.", maybe=True),
           on_backup=_of("integer",
                         "New octets on a backup subflow while a regular one was alive."))),
        data_fin=_or_null(_object(
            "Its first DATA_FIN; null if there is none.",
            frame=_FRAME,
            dsn=_of("integer", "Relative DSN."),
            acknowledged=_of("boolean", "Whether a DATA_ACK beyond it was captured."),
        )),
        acknowledged=_of("integer", "Highest relative DATA_ACK for its data; null without one.",
                         maybe=True),
    )),
    "subflow": _subflow(_ROLES, "One TCP subflow."),
    "unattached": _subflow(
        _ENDS,
        "A subflow whose connection is not in the capture.",
        token=_of("string", "The token of its MP_JOIN.", maybe=True, pattern="^[0-9a-f]{8}$"),
        transmissions=_object("Of each end.", **dict.fromkeys(_ENDS, _transmissions())),
    ),
    "connection": _explained(_also(_object(
        "One MPTCP connection.",
        id=_ID,
        version=_of("integer", "0 (RFC 6824) or 1 (RFC 8684).", maybe=True, minimum=0),
        state=_of("string", "At the end of the capture.",
                  enum=["open", "closed", "fast_closed", "fallback", "timed_out"]),
        why=_of("string", "One sentence on the state."),
        state_frame=_MAYBE_FRAME,
        fallback=_of("string", "At which stage it became plain TCP; null if it did not.",
                     maybe=True),
        checksum=_of("boolean", "Whether DSS checksums are in use.", maybe=True),
        checksums=_object("Mappings by the check of their checksum.",
                          right=_COUNT, wrong=_COUNT, incomplete=_COUNT),
        initiator=_ref("host"),
        listener=_ref("host"),
        subflows=_list("subflow", "In order of their first frames."),
        addresses=_list("address", "Announcements and removals in capture order."),
        mismatches=_list("mismatch", "In order of frames."),
        notes=_list("note", "What was odd."),
        filter=_of("string", "Wireshark display filter for all its subflows."),
    ), events=_list("event", "Time line, if the connection was asked for."))),
}  # fmt: skip

#: The schema of one line of ``analyze --json``.
ANALYZE: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "mptcp-oracle analyze --json, layout 1",
    **_object(
        "What one capture shows of MPTCP. null means not known if `unknown` beside it has the "
        "reason; else it means that there is none. Numbers of 64 bits are decimal strings.",
        schema={"const": 1},
        capture=_explained(
            _object(
                "The file.",
                name=_of("string", "As it was given."),
                format=_of("string", "Of the file.", enum=["pcap", "pcapng"]),
                frames=_of("integer", "Frames of any kind.", minimum=0),
                segments=_of("integer", "TCP segments, capture duplicates too.", minimum=0),
                sha256=_of("string", "Of the file's octets.", maybe=True, pattern="^[0-9a-f]{64}$"),
                notes=_list("note", "What was odd about it."),
            )
        ),
        connections=_list("connection", "In order of their first frames."),
        unattached=_list("unattached", "Subflows whose connection is not in the capture."),
    ),
    "$defs": _DEFINITIONS,
}
