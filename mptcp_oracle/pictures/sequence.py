"""The sequence diagram as rows: the control events of a connection, a lane for each subflow."""

from __future__ import annotations

from typing import Any

from mptcp_oracle.pictures import palette
from mptcp_oracle.pictures.moments import Moment, ends
from mptcp_oracle.pictures.view import View

__all__ = ["MOST", "sequence"]

#: So many events are shown: the first ones and the last ones.
MOST = 600
#: Lanes that a diagram has at most; further subflows share the last one.
MOST_LANES = 8


def sequence(view: View, most: int = MOST) -> dict[str, Any]:
    """The diagram of a connection.

    Args:
        view: The connection.
        most: So many events are shown at most.

    Returns:
        ``lanes``: a name and a colour each; ``rows``: frame, seconds, subflow, lane, 1 if the
        host on the left sent it, -1 if the one on the right did, 0 if nobody knows, the options
        in packetdrill's notation, and the kind; ``left_out``: how many are missing after
        ``break`` rows; ``hosts``: who is left and right.
    """
    first, left_out, last = ends(view.moments, most)
    names = [f"subflow {flow.id}" for flow in view.flows[:MOST_LANES]]
    if len(view.flows) > MOST_LANES:
        names[-1] = f"subflow {view.flows[MOST_LANES - 1].id} and later"
    return {
        "hosts": list(view.roles),
        "lanes": [{"name": name, "colour": palette.colour(at)} for at, name in enumerate(names)],
        "rows": [_row(view, each) for each in (*first, *last)],
        "break": len(first),
        "left_out": left_out,
    }


def _row(view: View, moment: Moment) -> list[Any]:
    time = (moment.time - view.readings.origin(view.group)) * 1e-9
    lane = min(view.places[moment.subflow], MOST_LANES - 1)
    sender = {view.roles[0]: 1, view.roles[1]: -1}.get(moment.host or "", 0)
    return [moment.frame, round(time, 6), moment.subflow, lane, sender, moment.what, moment.kind]
