"""What each of tshark's MPTCP fields says, in our facts: a table, one row a field.

Beside the MPTCP fields these are the TCP and IP fields of which facts have a counterpart.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from mptcp_oracle.dissectors import tshark_columns as columns
from mptcp_oracle.dissectors.dissector import Field, Ours, Read
from mptcp_oracle.dissectors.values import (
    address_ids,
    addresses,
    announcers,
    base16,
    bit,
    connection_of,
    crypto_bit,
    data_ack,
    end,
    expected,
    first_declaring,
    flag_octets,
    hexadecimal,
    infinite,
    is_initial,
    mapping_dsns,
    named_mismatch,
    no_more_subflows,
    nothing,
    octets,
    option,
    own_dsn,
    received_keys,
    reinjection,
    segment_fact,
    sent_as,
    subflows_so_far,
    subtypes,
    unmapped,
    wide,
)

__all__ = ["FIELDS", "NEVER", "NO_COUNTERPART", "WITNESSES"]


CAPABLE, DSS, RESET = "mp_capable", "dss", "mp_tcprst"
JOIN_SYN, JOIN_SYNACK, JOIN_ACK = "mp_join_syn", "mp_join_synack", "mp_join_ack"


def _row(name: str, section: str, fact: str, ours: Ours, read: Read = int, **more: Any) -> Field:
    name = name.replace("~", "tcp.options.mptcp")
    return Field(name=name, section=section, fact=fact, read=read, ours=ours, **more)


FIELDS: tuple[Field, ...] = (
    _row("~.subtype", "3", "segment.options[].raw", subtypes, column=columns.subtype),
    _row("~.version", "3.1", "mp_capable.version", option(CAPABLE)(lambda o: o["version"])),
    _row(
        "~.reserved",
        "3.2",
        "mp_join_ack, mp_fail, mp_fastclose: reserved",
        option(JOIN_ACK, "mp_fail", "mp_fastclose")(lambda o: o["reserved"]),
        base16,
    ),
    _row(
        "~.flags",
        "3",
        "flags, backup and reserved of each option",
        flag_octets,
        base16,
        column=columns.dss_flags,
    ),
    _row(
        "~.backup.flag",
        "3.2, 3.3.8",
        "mp_join_syn, mp_join_synack, mp_prio: backup",
        option(JOIN_SYN, JOIN_SYNACK, "mp_prio")(lambda o: int(o["backup"])),
    ),
    _row("~.checksumreq.flags", "3.1", "mp_capable.flags & 0x80", bit(CAPABLE, 0x80)),
    _row("~.extensibility.flag", "3.1", "mp_capable.flags & 0x40", bit(CAPABLE, 0x40)),
    _row("~.nomoresubflows.flag", "3.1", "mp_capable.flags & 0x20, version 1", no_more_subflows),
    _row("~.sha1.flag", "RFC 6824 3.1", "mp_capable.flags & 1, version 0", crypto_bit(0)),
    _row("~.sha256.flag", "3.1", "mp_capable.flags & 1, version 1", crypto_bit(1)),
    _row(
        "~.reserved.flag",
        "3.1",
        "mp_capable.flags & 0x1e, version 0: & 0x3e",
        option(CAPABLE)(lambda o: (o["flags"] & (0x1E if o["version"] == 1 else 0x3E)) >> 1),
        base16,
    ),
    _row(
        "~.datafin.flag",
        "3.3",
        "dss.data_fin",
        option(DSS)(lambda o: int(o["data_fin"])),
        column=columns.dss_flag(0x10),
    ),
    _row("~.dseqn8.flag", "3.3", "dss.flags & 8", bit(DSS, 0x08), column=columns.dss_flag(0x08)),
    _row(
        "~.dseqnpresent.flag", "3.3", "dss.flags & 4", bit(DSS, 0x04), column=columns.dss_flag(0x04)
    ),
    _row("~.dataack8.flag", "3.3", "dss.flags & 2", bit(DSS, 0x02), column=columns.dss_flag(0x02)),
    _row(
        "~.dataackpresent.flag",
        "3.3",
        "dss.flags & 1",
        bit(DSS, 0x01),
        column=columns.dss_flag(0x01),
    ),
    _row("~.flag_U.flag", "3.6", "mp_tcprst.flags & 8", bit(RESET, 0x08)),
    _row("~.flag_V.flag", "3.6", "mp_tcprst.flags & 4", bit(RESET, 0x04)),
    _row("~.flag_W.flag", "3.6", "mp_tcprst.flags & 2", bit(RESET, 0x02)),
    _row("~.flag_T.flag", "3.6", "mp_tcprst.flags & 1", bit(RESET, 0x01)),
    _row("~.rst_reason", "3.6", "mp_tcprst.reason", option(RESET)(lambda o: o["reason"]), base16),
    _row("~.addrid", "3.2, 3.4", "address_id, address_ids", address_ids, column=columns.address_id),
    _row(
        "~.sendkey",
        "3.1",
        "mp_capable.sender_key",
        option(CAPABLE)(lambda o: hexadecimal(o["sender_key"])),
    ),
    _row(
        "~.recvkey",
        "3.1, 3.5",
        "mp_capable.receiver_key, mp_fastclose.key",
        option(CAPABLE, "mp_fastclose")(received_keys),
    ),
    _row("~.recvtok", "3.2", "mp_join_syn.token", option(JOIN_SYN)(lambda o: int(o["token"], 16))),
    _row(
        "~.sendrand",
        "3.2",
        "mp_join_syn.nonce, mp_join_synack.nonce",
        option(JOIN_SYN, JOIN_SYNACK)(lambda o: int(o["nonce"], 16)),
    ),
    _row(
        "~.sendtrunchmac",
        "3.2",
        "mp_join_synack.hmac",
        option(JOIN_SYNACK)(lambda o: int(o["hmac"], 16)),
    ),
    _row("~.sendhmac", "3.2", "mp_join_ack.hmac", option(JOIN_ACK)(lambda o: o["hmac"]), octets),
    _row(
        "~.addaddrtrunchmac",
        "3.4.1",
        "add_addr.hmac",
        option("add_addr")(lambda o: hexadecimal(o["hmac"])),
    ),
    _row(
        "~.rawdataack",
        "3.3.2",
        "dss.data_ack",
        option(DSS)(wide("data_ack")),
        column=columns.dss_number("data_ack"),
    ),
    _row(
        "~.rawdataseqno",
        "3.3.1, 3.7",
        "dss.dsn, mp_fail.dsn",
        option(DSS, "mp_fail")(wide("dsn")),
        column=columns.dss_number("dsn"),
    ),
    _row(
        "~.subflowseqno",
        "3.3.1",
        "dss.ssn",
        option(DSS)(lambda o: o["ssn"]),
        column=columns.dss_number("ssn"),
    ),
    _row(
        "~.datalvllen",
        "3.3.1",
        "dss.dll, mp_capable.data_length",
        option(DSS, CAPABLE)(lambda o: o["dll"] if o["option"] == DSS else o["data_length"]),
        column=columns.dss_number("length"),
    ),
    _row(
        "~.checksum",
        "3.3",
        "dss.checksum, mp_capable.checksum",
        option(DSS, CAPABLE)(lambda o: o["checksum"]),
        base16,
        column=columns.checksum,
    ),
    _row(
        "~.ipver",
        "RFC 6824 3.4.1",
        "add_addr.address, version 0",
        option("add_addr")(
            lambda o: ip_address(o["address"]).version if o["version"] == 0 else None
        ),
    ),
    _row(
        "~.echo",
        "3.4.1",
        "add_addr.echo",
        option("add_addr")(lambda o: int(o["echo"]) if o["version"] else None),
    ),
    _row("~.ipv4", "3.4.1", "add_addr.address", addresses(4), str),
    _row("~.ipv6", "3.4.1", "add_addr.address", addresses(6), str),
    _row("~.port", "3.4.1", "add_addr.port", option("add_addr")(lambda o: o["port"])),
    _row(
        "mptcp.rm_addr.count",
        "3.4.2",
        "length of remove_addr.address_ids",
        option("remove_addr")(lambda o: len(o["address_ids"])),
    ),
    _row("mptcp.ack", "3.3.2", "segment.data_ack", data_ack, column=columns.data_ack),
    _row(
        "mptcp.dsn",
        "3.3.1",
        "segment.ranges[0].dsn; 0 for an MP_CAPABLE SYN",
        own_dsn(absolute=False),
        column=columns.dsn(absolute=False),
    ),
    _row(
        "mptcp.rawdsn64",
        "3.3.1",
        "segment.ranges[0].absolute; the IDSN for an MP_CAPABLE SYN",
        own_dsn(absolute=True),
        column=columns.dsn(absolute=True),
    ),
    _row(
        "mptcp.dss.dsn",
        "3.3.1",
        "dss.dsn less the sender's base",
        mapping_dsns,
        column=columns.declared,
    ),
    _row("mptcp.expected_token", "3.1", "connection.*.token", expected("token")),
    _row("mptcp.expected_idsn", "3.1", "connection.*.idsn", expected("idsn")),
    _row(
        "mptcp.related_mapping",
        "3.3.1",
        "segment.ranges[].announced",
        announcers,
        unordered=True,
        frames=True,
        same=first_declaring,
        column=columns.related,
    ),
    _row(
        "mptcp.reinjection_of",
        "3.3.6",
        "ranges with the same DSNs in earlier frames",
        reinjection,
        unordered=True,
        frames=True,
        column=columns.reinjected,
    ),
    _row(
        "mptcp.stream",
        "3.2",
        "segment.connection",
        connection_of,
        names=True,
        key=columns.connection,
    ),
    _row(
        "mptcp.analysis.subflows",
        "3.2",
        "connection.subflows, as far as begun",
        subflows_so_far,
        str,
        unordered=True,
        streams=True,
        key=columns.subflows,
    ),
    _row("mptcp.master", "3.1, 3.2", "subflow.kind", is_initial, column=columns.initial),
    _row(
        "mptcp.connection.echoed_key_mismatch",
        "3.1",
        "connection.mismatches: echoed_key",
        named_mismatch,
        column=columns.mismatch,
    ),
    _row(
        "mptcp.dss.infinite_mapping",
        "3.7",
        "dss.dll = 0 without DATA_FIN",
        infinite,
        column=columns.infinite,
    ),
    _row(
        "mptcp.dss.missing_mapping",
        "3.3.1, 3.7",
        "payload with no mapped range",
        unmapped,
        column=columns.missing,
    ),
    _row("frame.time_epoch", "", "segment.time", segment_fact("time"), str, column=columns.time),
    _row(
        "ip.src",
        "",
        "subflow.source, destination: address",
        end("address", sender=True, family=4),
        str,
        column=columns.end("address", sender=True, family=4),
    ),
    _row(
        "ip.dst",
        "",
        "subflow.source, destination: address",
        end("address", sender=False, family=4),
        str,
        column=columns.end("address", sender=False, family=4),
    ),
    _row(
        "ipv6.src",
        "",
        "subflow.source, destination: address",
        end("address", sender=True, family=6),
        str,
        column=columns.end("address", sender=True, family=6),
    ),
    _row(
        "ipv6.dst",
        "",
        "subflow.source, destination: address",
        end("address", sender=False, family=6),
        str,
        column=columns.end("address", sender=False, family=6),
    ),
    _row(
        "tcp.srcport",
        "",
        "subflow.source, destination: port",
        end("port", sender=True),
        column=columns.end("port", sender=True),
    ),
    _row(
        "tcp.dstport",
        "",
        "subflow.source, destination: port",
        end("port", sender=False),
        column=columns.end("port", sender=False),
    ),
    _row("tcp.flags", "", "segment.flags", segment_fact("flags"), base16, column=columns.tcp_flags),
    _row(
        "tcp.seq",
        "",
        "segment.sequence",
        segment_fact("sequence"),
        column=columns.relative("sequence"),
    ),
    _row(
        "tcp.seq_raw",
        "",
        "segment.sequence_raw",
        segment_fact("sequence_raw"),
        column=columns.raw_number,
    ),
    _row("tcp.ack", "", "segment.ack", segment_fact("ack"), column=columns.relative("ack")),
    _row(
        "tcp.ack_raw", "", "segment.ack_raw", segment_fact("ack_raw"), column=columns.acknowledged
    ),
    _row(
        "tcp.window_size_value",
        "",
        "segment.window",
        segment_fact("window"),
        column=columns.number("window"),
    ),
    _row(
        "tcp.len", "", "segment.payload", segment_fact("payload"), column=columns.number("payload")
    ),
    _row(
        "tcp.analysis.retransmission",
        "",
        "transmission.class: tcp_retransmission",
        sent_as("tcp_retransmission"),
        column=columns.again("tcp_retransmission"),
    ),
    _row(
        "tcp.analysis.zero_window_probe",
        "3.3.5",
        "transmission.class: zero_window_probe",
        sent_as("zero_window_probe"),
        column=columns.again("zero_window_probe"),
    ),
    _row("_ws.malformed.dissector_bug", "3.3.1", "none", nothing, column=columns.nothing),
    _row(
        "tcp.stream",
        "2",
        "segment.subflow",
        lambda _, segment: (segment.subflow["subflow"],),
        names=True,
        key=columns.subflow,
    ),
)

#: Fields that no row compares; explanations look at them.
WITNESSES = ("frame.protocols", "icmp.type", "icmpv6.type", "tcp.analysis.out_of_order")

#: MPTCP fields without a counterpart in the facts, and why.
NO_COUNTERPART = {
    "mptcp.analysis": "says nothing itself: the heading under which the others stand",
    "mptcp.reinjected_in": (
        "looks ahead, which one pass cannot; the same pairs of frames are compared from their"
        " later end, as mptcp.reinjection_of"
    ),
    "mptcp.connection.missing_algorithm": (
        "a verdict on the flags of MP_CAPABLE, not a fact; the flags are compared"
    ),
    "mptcp.connection.unsupported_algorithm": (
        "a verdict on the flags of MP_CAPABLE, not a fact; the flags are compared"
    ),
}

#: Fields that no recording gives a value to, on either side, and why.
NEVER = {
    "tcp.options.mptcp.sha1.flag": "version 0 only, which Linux does not speak",
    "tcp.options.mptcp.ipver": "version 0 only, which Linux does not speak",
    "mptcp.connection.echoed_key_mismatch": "no recorded host echoes a wrong key",
    "_ws.malformed.dissector_bug": "no recorded segment lies under mappings that overlap",
}
