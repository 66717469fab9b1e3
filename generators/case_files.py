"""Files of cases: a capture, its truth beside it, and the line about both in the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mptcp_oracle.generators.emit import LICENSE, emit
from mptcp_oracle.generators.generating import Case, capture_case, guilty
from mptcp_oracle.generators.ordering import Order
from mptcp_oracle.generators.summary import Tally, of_case

from mptcp_oracle.facts import ROLES
from mptcp_oracle.facts import write as write_facts
from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.observable import observable
from mptcp_oracle.version import __version__

__all__ = ["TOOL", "Written", "about", "planted", "write_case", "write_truth"]

TOOL = "mptcp-oracle generate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        line: What the index says of it, as JSON values. tally: What is in it.
    """

    line: Mapping[str, Any]
    tally: Tally


def planted(capture: Capture, first: int = 0) -> list[dict[str, Any]]:
    """The faults in a capture, with the frames that are the evidence.

    Args:
        capture: The capture.
        first: Frames before it in its file.
    """
    return [
        {
            "fault": each.name,
            "requirements": list(each.requirements),
            "host": ROLES[each.host],
            "frames": [first + frame for frame in frames],
        }
        for each, frames in zip(capture.trace.planted, guilty(capture), strict=True)
    ]


def about(wanted: Order, **more: object) -> dict[str, Any]:
    """What the truth's header and the index say of where a capture comes from."""
    return {"seed": wanted.seed, **more, "license": LICENSE}


def write_case(wanted: Order, number: int, folder: Path) -> Written:
    """Make one case and write its files.

    Raises:
        UsageError: No trace has a place for its fault.
        OSError: A file cannot be written.
    """
    case = capture_case(wanted, number)
    capture = case.capture
    origin = about(
        wanted,
        case=number,
        scenario=case.scenario.name,
        fault=case.recipe.fault.name if case.recipe.fault else None,
        malformed=wanted.malformed,
        vantage=capture.vantage,
        defects=list(capture.defects),
        planted=planted(capture),
    )
    facts = list(observable(capture)) if case.told else []
    octets = emit(capture, comment=_comment(wanted, case))
    digest = sha256(octets).hexdigest()
    name = f"{case.recipe.slug}-{number}"
    file = folder / f"{name}.{capture.layout.file}"
    file.write_bytes(octets)
    truth = None
    if case.told:
        truth = f"{name}.truth.jsonl"
        write_truth(folder / truth, facts, file.name, digest, origin)
    line = {"capture": file.name, "truth": truth, "sha256": digest, "octets": len(octets),
            "frames": len(capture.frames), "connections": len(capture.trace.connections),
            "subflows": len(capture.trace.subflows), **origin}  # fmt: skip
    return Written(line=line, tally=of_case(case, len(octets)))


def write_truth(
    path: Path, facts: Iterable[Mapping[str, Any]], capture: str, digest: str,
    origin: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write the truth of a capture, with Unix line ends on every machine."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        write_facts(
            file, facts, capture=capture, sha256=digest, version=__version__, tool=TOOL,
            generated=origin,
        )  # fmt: skip


def _comment(wanted: Order, case: Case) -> str:
    words = [f"seed {wanted.seed}", f"case {case.number}", f"scenario {case.scenario.name}"]
    words += [f"fault {case.recipe.fault.name}"] if case.recipe.fault else []
    words += ["with malformed options"] if wanted.malformed else []
    return ", ".join(words)
