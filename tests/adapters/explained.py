"""Why tshark and our facts differ where they do: a table of arguments, one row a kind.

The first row that holds explains a difference. Each row is as narrow as its argument, and where
it says that the facts are right, it shows that from the octets (:mod:`tests.adapters.proofs`).
"""

from __future__ import annotations

from tests.adapters import conditions
from tests.adapters.compare import Explanation
from tests.adapters.fields import FIELDS
from tests.adapters.proofs import same_mappings

__all__ = ["EXPLAINED"]

ALL = frozenset(field.name for field in FIELDS)
WIRE = frozenset(name for name in ALL if name.startswith("tcp.options.mptcp."))
TCP = ALL - frozenset(name for name in ALL if "mptcp" in name)
MEMBERSHIP = frozenset({"mptcp.stream", "mptcp.analysis.subflows", "mptcp.master"})
NUMBERS = frozenset({"mptcp.ack", "mptcp.dsn", "mptcp.rawdsn64", "mptcp.dss.dsn"})
PLACES = frozenset({"mptcp.dsn", "mptcp.rawdsn64"})


EXPLAINED: tuple[Explanation, ...] = (
    Explanation(
        name="quoted in an ICMP error",
        fields=ALL,
        holds=conditions.quoted,
        right="facts",
        section="RFC 792, RFC 4443 2.4",
        why=(
            "The header stands inside an ICMP error message, which quotes the packet that could"
            " not be delivered. It is no segment on its way to the other host, so it belongs to"
            " no stream and says nothing new: counting it would count the packet twice."
        ),
    ),
    Explanation(
        name="plain TCP",
        fields=TCP,
        holds=conditions.plain_tcp,
        right="both",
        section="2",
        why=(
            "No segment of the stream carries an MPTCP option. tshark numbers every TCP stream;"
            " facts are about subflows of MPTCP connections."
        ),
    ),
    Explanation(
        name="no flag ACK",
        fields=frozenset({"tcp.ack", "tcp.ack_raw"}),
        holds=conditions.without_ack,
        right="facts",
        section="RFC 9293 3.1",
        why=(
            "The acknowledgment number means something only with the flag ACK. tshark shows the"
            " 0 that stands there; facts have no number."
        ),
    ),
    Explanation(
        name="no SYN of that end",
        fields=frozenset({"tcp.seq", "tcp.ack"}),
        holds=conditions.no_syn,
        right="facts",
        section="RFC 9293 3.10.7.1",
        why=(
            "Relative numbers count from the ISN, which the SYN shows. An end that answers a SYN"
            " with a RST never had one. tshark counts from one less than the first number it"
            " sees; facts say that the number is not known."
        ),
    ),
    Explanation(
        name="segment captured twice",
        fields=frozenset({"tcp.analysis.retransmission"}),
        holds=conditions.captured_twice,
        right="facts",
        section="RFC 9293 3.8.1",
        why=(
            "The capture holds the same packet at two places of the same host: header, IP"
            " identification and payload are the same. The sender has sent it once."
        ),
    ),
    Explanation(
        name="SYN or FIN without payload sent again",
        fields=frozenset({"tcp.analysis.retransmission"}),
        holds=conditions.control_sent_again,
        right="both",
        section="RFC 9293 3.8.1",
        why="Transmissions in facts are of octets of payload; a bare SYN or FIN has none.",
    ),
    Explanation(
        name="called out of order",
        fields=frozenset({"tcp.analysis.retransmission"}),
        holds=conditions.out_of_order,
        right="facts",
        section="RFC 9293 3.8.1",
        why=(
            "tshark calls a segment below the highest sequence number out of order if it comes"
            " soon after that. Every octet of it stands in an earlier segment of the subflow: it"
            " is sent again, however soon."
        ),
    ),
    Explanation(
        name="sent again, behind a cut header",
        fields=frozenset({"tcp.analysis.retransmission"}),
        holds=conditions.after_cut,
        right="facts",
        section="RFC 9293 3.8.1",
        why=(
            "tshark stops at the option that the snap length cuts, before it looks at sequence"
            " numbers. These are there; every octet stands in an earlier segment of the subflow."
        ),
    ),
    Explanation(
        name="probe at the data level",
        fields=frozenset({"tcp.analysis.zero_window_probe"}),
        holds=conditions.data_level_probe,
        right="both",
        section="3.3.5, 3.3.6",
        why=(
            "The receive window of MPTCP is one for all subflows, so a sender probes it with one"
            " octet that was DATA_ACKed before, under a new subflow sequence number. To the"
            " subflow it is new data; tshark looks for probes of TCP."
        ),
    ),
    Explanation(
        name="options cut by the snap length",
        fields=WIRE,
        holds=conditions.options_cut,
        right="both",
        section="3",
        why=(
            "The capture ends inside the option. tshark shows the fields before the cut; facts"
            " give an option whole or not at all, and say that the options are unknown, because"
            " an option's Length and the fields behind the cut decide how it is to be read."
        ),
    ),
    Explanation(
        name="before a key was seen",
        fields=MEMBERSHIP | PLACES | {"mptcp.dss.missing_mapping"},
        holds=conditions.before_any_key,
        right="facts",
        section="3.1",
        why=(
            "In version 1 the SYN carries no key, and where the handshake fell back none ever"
            " comes. tshark reads in one pass and starts a connection with the first key; the"
            " SYN with MP_CAPABLE belongs to the connection all the same, and its place in the"
            " data sequence space is the IDSN."
        ),
    ),
    Explanation(
        name="no MPTCP option in the segment",
        fields=MEMBERSHIP | PLACES | {"mptcp.dss.missing_mapping", "mptcp.related_mapping"},
        holds=conditions.without_option,
        right="facts",
        section="3.3.1, 3.7",
        why=(
            "tshark's MPTCP analysis starts from an MPTCP option. A subflow is a TCP connection,"
            " all of whose segments belong to it; a mapping covers its octets whether or not the"
            " segment that carries them repeats it; and after a fallback no segment has options."
        ),
    ),
    Explanation(
        name="no payload, so no DSN",
        fields=PLACES | {"mptcp.dss.missing_mapping"},
        holds=conditions.without_payload,
        right="facts",
        section="3.3.1",
        why=(
            "Data sequence numbers number octets of payload (and a DATA_FIN, which has its own"
            " mapping). For a segment without payload tshark shows 0 on a SYN, 1 otherwise, or"
            " what it finds at its sequence number, or complains that no mapping covers it; there"
            " is nothing to map. An MP_JOIN SYN takes no data sequence number."
        ),
    ),
    Explanation(
        name="DSS checksum not shown",
        fields=frozenset({"tcp.options.mptcp.checksum"}),
        holds=conditions.checksum_left_out,
        right="facts",
        section="3.3",
        why=(
            "The option's Length is two octets more than DATA_ACK, DSN, subflow sequence number"
            " and Data-Level Length take: these two are the checksum. tshark 4.0 shows a checksum"
            " only of an MP_CAPABLE with data."
        ),
    ),
    Explanation(
        name="first and latest announcement",
        fields=frozenset({"mptcp.related_mapping"}),
        holds=same_mappings,
        right="both",
        section="3.3.1",
        why=(
            "A mapping may be repeated on every segment that it covers, and Linux does so."
            " tshark names the latest segment that declared it, facts the first; both declare the"
            " same DSN, subflow sequence number and length."
        ),
    ),
    Explanation(
        name="connection captured on both sides of a NAT",
        fields=frozenset({"mptcp.stream", "mptcp.analysis.subflows"}),
        holds=conditions.seen_twice_membership,
        right="facts",
        section="3.1, 3.2",
        why=(
            "Both copies of a handshake show the same keys, and tshark puts the second copy into"
            " the first connection. A connection begins with one MP_CAPABLE exchange: facts keep"
            " the copies apart."
        ),
    ),
    Explanation(
        name="data captured on both sides of a NAT",
        fields=frozenset({"mptcp.reinjection_of"}),
        holds=conditions.seen_twice_data,
        right="facts",
        section="3.3.6",
        why=(
            "As above: with two copies in one connection every octet of the second looks sent"
            " again on another subflow."
        ),
    ),
    Explanation(
        name="initial subflows on both sides of a NAT",
        fields=frozenset({"mptcp.master"}),
        holds=conditions.seen_twice_initial,
        right="facts",
        section="3.1, 3.2",
        why=(
            "As above: of the two copies of the initial subflow tshark can call only one master."
            " Each began with MP_CAPABLE."
        ),
    ),
    Explanation(
        name="tokens and IDSNs on both sides of a NAT",
        fields=frozenset({"mptcp.expected_token", "mptcp.expected_idsn"}),
        holds=conditions.seen_twice_keys,
        right="facts",
        section="3.1",
        why=(
            "As above: with two copies in one connection tshark exchanges its directions, and"
            " shows the other host's token and IDSN or none. Ours are the hash of the key that"
            " stands in the option."
        ),
    ),
    Explanation(
        name="numbers of a connection captured on both sides of a NAT",
        fields=NUMBERS,
        holds=conditions.seen_twice_numbers,
        right="facts",
        section="3.1, 3.3.1",
        why=(
            "As above: with the directions exchanged, tshark counts from the other host's IDSN."
            " The numbers of the facts are those of the options, less the IDSN of the key that"
            " the sender (for a DATA_ACK: the receiver) showed."
        ),
    ),
    Explanation(
        name="MP_JOIN SYN captured or sent twice",
        fields=NUMBERS,
        holds=conditions.repeated_join,
        right="facts",
        section="3.2, 3.3.1",
        why=(
            "tshark reads a second copy of the SYN as another join and exchanges the directions"
            " of the subflow; from then on it counts from the other host's IDSN. A SYN sent again"
            " opens no other subflow. The numbers of the facts are those of the options, less"
            " the IDSN of the key that the sender (for a DATA_ACK: the receiver) showed."
        ),
    ),
    Explanation(
        name="no key in the capture",
        fields=NUMBERS,
        holds=conditions.no_key_at_all,
        right="both",
        section="3.1",
        why=(
            "Nothing tells the IDSN. tshark counts from 0, which leaves absolute numbers; facts"
            " count from the first data sequence number of the direction, and say so."
        ),
    ),
    Explanation(
        name="MP_CAPABLE with data on several segments",
        fields=PLACES | {"mptcp.related_mapping"},
        holds=conditions.repeated_first_data,
        right="facts",
        section="3.1, 3.3.1",
        why=(
            "The first data of a connection come with an MP_CAPABLE whose Data-Level Length maps"
            " them all, from subflow sequence number 1 and IDSN + 1 on. When they take several"
            " segments, Linux puts the option on each. tshark takes each for a mapping of its"
            " own that begins at its segment: the later ones reach beyond the data, and give"
            " octets of these and of the following data DSNs that are too small, even where a"
            " segment has a DSS of its own."
        ),
    ),
    Explanation(
        name="infinite mapping",
        fields=PLACES | {"mptcp.related_mapping", "mptcp.dss.missing_mapping"},
        holds=conditions.infinite,
        right="facts",
        section="3.7",
        why=(
            "A Data-Level Length of 0 maps everything from its subflow sequence number on."
            " tshark recognises the infinite mapping (mptcp.dss.infinite_mapping) and yet finds"
            " no mapping for the data under it."
        ),
    ),
    Explanation(
        name="frames with neighbouring or equal DSNs",
        fields=frozenset({"mptcp.reinjection_of"}),
        holds=conditions.neighbours,
        right="facts",
        section="3.3.6",
        why=(
            "tshark also names frames whose data ends right where this frame's begins, which"
            " share no octet with it, and of several frames that begin with the same DSN it"
            " remembers only the latest. Facts name every earlier frame on another subflow that"
            " carried one of the octets."
        ),
    ),
)
