"""The scenarios of ``mptcp-oracle record``: one row each, with the reason why it is there."""

from __future__ import annotations

from mptcp_oracle.live.scenario import (
    Connect,
    Drain,
    Endpoint,
    Eof,
    Expect,
    Finish,
    Host,
    Plan,
    Scenario,
    Send,
    Step,
    Subflows,
)

__all__ = ["SCENARIOS"]

JOINING = Host(endpoints=(Endpoint(lane=2, flags=("subflow",)),))

# A few octets make the first DATA_ACK, after which the client joins.
OPEN: tuple[Step, ...] = (
    Connect(),
    Send("client", 0.01),
    Drain("client"),
    Subflows(2),
)
BOTH_WAYS: tuple[Step, ...] = (
    Send("client"),
    Send("server"),
    Drain("client"),
    Drain("server"),
)
DATA_FIN: tuple[Step, ...] = (Finish("client"), Finish("server"), Eof("client"), Eof("server"))

SCENARIOS: dict[str, Scenario] = {
    item.name: item
    for item in (
        Scenario(
            name="bulk-two-paths",
            why=(
                "The everyday case: one connection, one joined subflow, bulk data both ways at "
                "once, closed by DATA_FIN. Captured at the client on all interfaces with "
                "offloads on, so captured segments are far longer than any frame on a wire."
            ),
            client=JOINING,
            script=(*OPEN, *BOTH_WAYS, *DATA_FIN),
            octets=150_000,
            expects=(Expect(host="server", counter="MPJoinAckRx"),),
            shipped=True,
        ),
        Scenario(
            name="bulk-two-paths-no-offload",
            why=(
                "The same with segmentation and receive offloads off everywhere: segments as a "
                "wire carries them, each repeating the mapping that it is a part of."
            ),
            plan=Plan(offloads=False),
            client=JOINING,
            script=(*OPEN, *BOTH_WAYS, *DATA_FIN),
            octets=150_000,
            expects=(Expect(host="server", counter="MPJoinAckRx"),),
            shipped=True,
        ),
    )
}
