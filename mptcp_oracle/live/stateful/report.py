"""What a campaign of random sequences found, as text, as files, and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mptcp_oracle.live.pcapng import to_pcapng
from mptcp_oracle.live.stateful.campaign import Campaign, Finding
from mptcp_oracle.live.stateful.packetdrill import script
from mptcp_oracle.live.stateful.tracker import pairs
from mptcp_oracle.model.tables import CONNECTION, TRANSITIONS
from mptcp_oracle.version import __version__

__all__ = ["MARK", "lines", "page", "slug", "write_finding"]

MARK = "<!-- from here on written from stateful/found.json -->"
"""Where the part that is written by the program begins; what stands before it is kept."""


def lines(campaign: Campaign) -> Iterator[str]:
    """The findings for people, and what was played."""
    for each in campaign.findings:
        yield f"{'expected' if each.known else 'FINDING'}: {each.kind} ({each.number} sequences)"
        if each.known:
            yield f"    {each.known}"
        yield "    " + ", ".join(f"{name} {number}" for name, number in each.played.plan.steps)
        yield from (f"    {line}" for line in each.played.log.lines)
    reached = pairs() & campaign.taken.keys()
    yield (
        f"{campaign.sequences} sequences, {sum(campaign.events.values())} events, "
        f"{campaign.frames} packets, {campaign.rate:.0f} sequences/s; "
        f"{len(campaign.taken)} transitions of the model from the states that they start from "
        f"({len(reached)} of the {len(pairs())} of a connection)"
    )


def slug(kind: str) -> str:
    """A file name for a finding."""
    words = "".join(each if each.isalnum() else " " for each in kind.lower()).split()
    return "-".join(words[:8])


def write_finding(finding: Finding, folder: Path) -> None:
    """Write the packets of a finding as pcapng, and as a packetdrill script if it can be one.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = slug(finding.kind)
    steps = ", ".join(f"{name} {number}" for name, number in finding.played.plan.steps)
    octets = to_pcapng(
        finding.played.log.pcap(),
        interface="probe0",
        packet_filter="",
        system="",
        program=f"mptcp-oracle {__version__}",
        comment=f"{finding.kind}: {steps}",
        received=None,
        dropped=None,
    )
    (folder / f"{name}.pcapng").write_bytes(octets)
    text = script(finding.played)
    if text is not None:
        (folder / f"{name}.pkt").write_text(text, encoding="utf-8")


def page(head: str, found: Mapping[str, Any]) -> str:
    """The page of a campaign.

    Args:
        head: What is kept of the page as it was: all up to the mark.
        found: The campaign, as :meth:`Campaign.body` tells it, and its target.
    """
    return "\n".join([head.rstrip(), "", MARK, "", *_page(found)]) + "\n"


def _page(found: Mapping[str, Any]) -> Iterator[str]:
    rate = found["sequences"] / found["seconds"]
    yield f"## A campaign against {found['target']}"
    yield ""
    yield (
        f"{found['sequences']} sequences with {sum(found['events'].values())} events and "
        f"{found['packets']} packets, {rate:.0f} sequences a second on two busy cores."
    )
    yield ""
    yield "| event | played |"
    yield "| --- | --- |"
    yield from (f"| {name} | {number} |" for name, number in found["events"].items())
    yield ""
    yield "### Transitions of the model"
    yield ""
    yield "Of a connection at the implementation ([model.md](model.md)), by the states that they"
    yield "start from:"
    yield ""
    yield "| transition | event | taken | never taken |"
    yield "| --- | --- | --- | --- |"
    taken = {(name, state): number for name, state, number in found["transitions"]}
    for each in CONNECTION:
        mine = {state: number for (name, state), number in taken.items() if name == each.id}
        told = ", ".join(f"{state} {number}" for state, number in mine.items())
        missing = ", ".join(state for state in each.states if state not in mine)
        yield f"| {each.id} | {each.event} | {told} | {missing} |"
    others = sorted({name for name, _ in taken if name[0] != "C"})
    yield ""
    yield (
        "Of subflows, data and addresses: "
        + ", ".join(f"{name} ({TRANSITIONS[name].event})" for name in others)
        + "."
    )
    yield ""
    yield "### Findings"
    if not found["findings"]:
        yield ""
        yield "None."
    for each in found["findings"]:
        yield ""
        yield f"#### {each['kind']}"
        yield ""
        steps = ", ".join(f"`{name}` {number}" for name, number in each["steps"])
        yield f"{each['sequences']} sequences; the smallest is {steps}."
        if each["known"]:
            yield ""
            yield f"{each['known']}."
        yield ""
        yield "```"
        yield from each["packets"]
        yield "```"
