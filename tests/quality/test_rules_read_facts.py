"""What rules read of a trace is in the facts, or follows from what is: nothing judges in secret.

Whoever compares facts with the truth, or with another dissector's, has then compared all that
verdicts rest on. The tables say for each attribute and column where it is stated; a rule that reads
another one fails here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import pytest

from mptcp_oracle import facts
from mptcp_oracle.analysis import dataplane, entities
from tests.common.checkout import ROOT

RULES = sorted((ROOT / "mptcp_oracle" / "rules").glob("*.py"))

#: Attributes of connections, hosts, subflows and what they consist of, by name: a key of facts of
#: the same name is meant unless others are given, from which it follows.
ENTITIES: dict[str, tuple[str, ...]] = {
    "ack_hmac": ("join.ack_hmac",),
    "address": ("address_event.address", "end.address"),
    "address_id": ("address_event.address_id",),
    "address_ids": ("end.address_id",),
    "addresses": ("connection.addresses",),
    "backup": ("end.backup",),
    "base": ("host.base",),
    "checksum": ("connection.checksum",),
    "checksums": ("connection.checksums",),
    "connection": ("subflow.connection",),
    "data_fin": ("host.data_fin",),
    "destination": ("subflow.destination",),
    "dsn": ("data_fin.dsn",),
    "end": ("subflow.end",),
    "endpoint": ("host.address", "host.port"),
    "established": ("subflow.established",),
    "fallback": ("connection.fallback",),
    "first_frame": ("subflow.first_frame",),
    "frame": ("data_fin.frame", "address_event.frame", "subflow_end.frame", "mismatch.frame"),
    "halves": ("segment.subflow", "segment.from"),
    "hmac": ("address_event.hmac",),
    "hosts": ("connection.initiator", "connection.listener"),
    "id": ("connection.connection", "subflow.subflow"),
    "idsn": ("host.idsn",),
    "isn_from": ("end.isn_from",),
    "join": ("subflow.join",),
    "key": ("host.key",),
    "kind": ("subflow.kind",),
    "last_frame": ("subflow.last_frame",),
    "notes": ("connection.notes", "subflow.notes"),
    "octets": ("host.octets", "end.octets"),
    "opener": ("subflow.opened_by",),
    "options": ("segment.options",),
    "port": ("address_event.port", "end.port"),
    "reason": ("subflow_end.reason",),
    "role": ("host.role",),
    "round_trip": ("subflow.round_trip",),
    "source": ("subflow.source",),
    "source_role": ("end.role",),
    "state": ("connection.state",),
    "state_frame": ("connection.state_frame",),
    "stream": ("subflow.stream",),
    "subflow": ("segment.subflow", "address_event.subflow"),
    "subflows": ("connection.subflows",),
    "syn_data": ("end.syn_data",),
    "synack_hmac": ("join.synack_hmac",),
    "time": ("segment.time",),
    "token": ("host.token", "join.token"),
    "token_right": ("join.token_right",),
    "transmissions": ("host.transmissions",),
    "vantage": ("subflow.vantage", "subflow.vantage_known"),
    "version": ("connection.version", "subflow.version"),
    "why": ("connection.why", "mismatch.why"),
}

#: Attributes of the data plane.
PLANE: dict[str, tuple[str, ...]] = {
    "acked": ("segment.ack",),
    "base": ("host.base",),
    "base_from": ("host.base", "host.key"),
    "checksum": ("segment.options", "connection.checksums"),
    "dack_top": ("segment.data_ack",),
    "direction": ("segment.connection", "segment.sender"),
    "dsn_top": ("range.dsn_end",),
    "fresh": ("range.announced", "range.dsn"),
    "fresh_count": ("range.announced", "range.dsn"),
    "fresh_first": ("range.announced", "range.dsn"),
    "high_known": ("host.base",),
    "isn_from": ("end.isn_from",),
    "map_first": ("segment.options",),
    "map_order": ("segment.options",),
    "mptcp_row": ("segment.options",),
    "octets": ("host.transmissions",),
    "offered": ("end.syn_data",),
    "piece_first": ("range.sequence", "range.octets"),
    "pieces": ("range.sequence", "range.octets", "range.announced"),
    "placed": ("range.dsn", "end.isn_from"),
    "spilled": ("range.dsn",),
    "unmapped_row": ("range.dsn",),
    "wire": ("segment.frame",),
}

#: Columns of segments, mappings and halves.
COLUMNS: dict[str, tuple[str, ...]] = {
    "ack": ("segment.ack_raw", "segment.ack"),
    "data_ack": ("segment.data_ack",),
    "dsn": ("segment.options", "range.absolute"),
    "dss": ("segment.options",),
    "duplicate": ("segment.duplicate",),
    "end": ("range.sequence", "range.octets"),
    "flags": ("segment.flags", "segment.duplicate", "segment.outgoing", "segment.options"),
    "frame": ("segment.frame",),
    "half": ("segment.subflow", "segment.from"),
    "isn": ("end.isn",),
    "kind": ("transmission.class",),
    "last_row": ("subflow.last_frame",),
    "length": ("segment.payload", "segment.options"),
    "map": ("range.announced",),
    "mapping": ("range.announced",),
    "mptcp": ("segment.options",),
    "options_cut": ("segment.options_cut",),
    "row": ("segment.frame",),
    "sequence": ("segment.sequence",),
    "ssn": ("segment.options",),
    "start": ("segment.options", "range.sequence"),
    "subflow": ("segment.subflow",),
    "syn": ("segment.flags", "segment.options"),
    "synack": ("segment.flags", "segment.options"),
    "time": ("segment.time",),
    "window": ("segment.window",),
}

#: Names that are subscripts of something else than a table of the trace.
ASIDE = {"_acknowledging", "_used", "requirement"}

READERS = {"column", "mapping", "of"}


def entity_attributes() -> set[str]:
    """The fields of all that a trace's control plane consists of."""
    return {
        item.name
        for each in vars(entities).values()
        if inspect.isclass(each) and is_dataclass(each) and each.__module__ == entities.__name__
        for item in fields(each)
    }


def plane_attributes() -> set[str]:
    """What the data plane's constructor sets, for all to read."""
    tree = ast.parse(inspect.getsource(dataplane.DataPlane))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and not node.attr.startswith("_")
    }


def reads(text: str) -> Iterator[tuple[str, str]]:
    """What a module reads: ``attribute`` or ``column``, and its name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            yield "attribute", node.attr
        elif isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                yield "column", node.slice.value
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in READERS
        ):
            for each in node.args:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield "column", each.value


def unstated(text: str) -> list[str]:
    """What a module reads of the trace that no table says where to find in the facts."""
    stated = {"attribute": ENTITIES.keys() | PLANE.keys(), "column": COLUMNS.keys() | ASIDE}
    known = entity_attributes() | (plane_attributes() - {"classifier"})
    return sorted(
        {
            f"{what} {name}"
            for what, name in reads(text)
            if name not in stated[what] and (what == "column" or name in known)
        }
    )


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_read_what_facts_state(path) -> None:
    """No rule reads anything of which the tables do not say where the facts have it."""
    assert unstated(path.read_text()) == []


@pytest.mark.parametrize("table", [ENTITIES, PLANE, COLUMNS], ids=["entities", "plane", "columns"])
def test_the_facts_have_what_the_tables_name(table: dict[str, tuple[str, ...]]) -> None:
    """Every place that the tables name is a key of the vocabulary."""
    places = {place for each in table.values() for place in each}
    for place in places:
        fact, _, key = place.partition(".")
        assert key in facts.KEYS[fact], place


def test_nothing_is_listed_that_no_rule_reads() -> None:
    """An entry that nobody needs any more is taken out."""
    found = {each for path in RULES for each in reads(path.read_text())}
    listed = {("attribute", name) for name in ENTITIES | PLANE}
    listed |= {("column", name) for name in COLUMNS.keys() | ASIDE}
    assert listed - found == set()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("host.acknowledged", "attribute acknowledged"),
        ("trace.plane.block_low[0]", "attribute block_low"),
        ("ground.column('captured')", "column captured"),
        ("trace.wire.segments['offset']", "column offset"),
        ("wire.pieces.of('start', 'skew')", "column skew"),
    ],
)
def test_a_secret_reading_is_found(text: str, told: str) -> None:
    """The check can fail: an attribute or a column beside the tables is named."""
    assert unstated(text) == [told]
