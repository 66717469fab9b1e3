"""The pictures of the documents, made from captures of the corpus.

``made.json`` beside them has a digest of everything that each was made from: page data, style,
script, code that draws. A test compares it, so a picture cannot go stale unnoticed.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import dataclass
from importlib.resources import files

from mptcp_oracle.oracle import judge
from mptcp_oracle.pictures import files as drawings
from mptcp_oracle.pictures.findings import findings
from mptcp_oracle.pictures.packing import script_json
from mptcp_oracle.pictures.section import connection_data
from mptcp_oracle.pictures.series import Readings
from mptcp_oracle.pictures.view import View
from tests.common.checkout import ROOT

__all__ = ["FOLDER", "MADE", "PICTURES", "Picture", "digests"]

FOLDER = ROOT / "docs/pictures"
MADE = FOLDER / "made.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture.

    Attributes:
        file: Its name in the folder. capture: Path in the corpus.
        show: What of the page is in sight: a selector, which is scrolled to the top. dark: On dark
            ground. before: A script that is run in the page first. height: Of the window.
        kind: Instead of a screenshot, the kind of plot.
    """

    file: str
    capture: str
    show: str = ".legend"
    dark: bool = False
    before: str = ""
    height: int = 760
    kind: str = ""


PICTURES = (
    Picture(file="report-dsn.png", capture="kernel/loss-reinjection.pcapng", height=1170),
    Picture(
        file="report-dark.png", capture="kernel/priority-change.pcapng", dark=True, height=1150
    ),
    Picture(
        file="report-rates.png", capture="kernel/loss-reinjection.pcapng",
        show="figure[data-figure=rates]", height=880,
    ),
    Picture(
        file="report-verdicts.png", capture="tester/tester-acks-unsent.pcapng",
        show=".findings", height=540,
    ),
    Picture(
        file="report-sequence.png", capture="kernel/add-address.pcapng",
        show="details.sequence", height=660,
        before="document.querySelector('details.sequence').open = true",
    ),
    Picture(file="plot-dsn.svg", capture="kernel/three-subflows.pcapng", kind="dsn"),
    Picture(file="plot-reinjection.svg", capture="kernel/loss-reinjection.pcapng",
            kind="reinjection"),
)  # fmt: skip


def digests() -> dict[str, str]:
    """By file: the digest of what it is made from now."""
    return {each.file: _digest(each) for each in PICTURES}


def _digest(picture: Picture) -> str:
    with judge(ROOT / "corpus" / picture.capture, name=picture.capture) as judgement:
        trace = judgement.trace
        view = View(
            Readings(trace), next(iter(trace.groups())), list(judgement.verdicts(passes=False))
        )
        parts = [script_json(connection_data(view)), repr(picture)]
        if picture.show == ".findings":
            parts.append(findings(view, set()))
    if picture.kind:
        parts.append(inspect.getsource(drawings))
    else:
        folder = files("mptcp_oracle.pictures")
        parts += [folder.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
