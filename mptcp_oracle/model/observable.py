"""What a capture lets one know: the truth of a trace, as far as its frames survived.

Each fact has the frames that suffice to know it; it is known if such frames are in the capture,
else ``None`` with a reason. The labels of the frames say what they mean, so nothing is inferred.
The vocabulary is that of :mod:`mptcp_oracle.facts`; texts for people are left empty, and there are
no observations: what a scheduler means to do, no wire shows.
"""

from __future__ import annotations

from collections.abc import Iterator

from mptcp_oracle.facts import Fact
from mptcp_oracle.model.capture import Capture
from mptcp_oracle.model.observed_connections import View, connection
from mptcp_oracle.model.observed_frames import look
from mptcp_oracle.model.observed_groups import groups_of
from mptcp_oracle.model.observed_handshakes import Handshake
from mptcp_oracle.model.observed_segments import segment, transmissions
from mptcp_oracle.model.observed_subflows import subflow

__all__ = ["observable"]


def observable(capture: Capture) -> Iterator[Fact]:
    """The facts of a capture: connections, subflows, segments with their transmissions.

    Args:
        capture: Frames of a trace; the labels of their segments are the truth.

    Yields:
        Facts in the order and with the numbers that :mod:`mptcp_oracle.facts` describes.
    """
    flows, frames = look(capture)
    shakes = {flow.id: Handshake(flow) for flow in flows}
    of_flow: dict[int, View] = {}
    views = []
    for group in groups_of(capture.trace, flows, shakes):
        ids = {flow.id for flow in group.flows}
        view = View(group, shakes, [seen for seen in frames if seen.flow.id in ids])
        views.append(view)
        of_flow.update(dict.fromkeys(ids, view))
    for view in views:
        yield connection(view)
    for flow in flows:
        yield subflow(of_flow[flow.id], flow)
    for seen in frames:
        view = of_flow[seen.flow.id]
        yield segment(view, seen)
        yield from transmissions(view, seen)
