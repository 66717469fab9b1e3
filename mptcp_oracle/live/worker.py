"""A process that records one scenario after another; :mod:`mptcp_oracle.live.batch` runs several.

It reads requests from standard input and answers each on standard output, both one line of JSON. It
ends with its input, and cleans up if its parent is killed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mptcp_oracle.errors import OracleError
from mptcp_oracle.live.recorder import record
from mptcp_oracle.live.scenarios import SCENARIOS
from mptcp_oracle.live.stopping import terminable

__all__ = ["main"]


def main() -> None:
    """Record what is asked for until the input ends."""
    with terminable():
        for line in sys.stdin:
            print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Record one scenario and say what came of it."""
    name = request["name"]
    try:
        done = record(SCENARIOS[name], Path(request["folder"]), **request["settings"])
    except OracleError as error:
        text = str(error)
        return {"name": name, "error": text if name in text else f"scenario {name}: {text}"}
    return {
        "name": name,
        "capture": str(done.capture),
        "sidecar": str(done.sidecar),
        "seconds": done.seconds,
        "attempts": done.attempts,
        "frames": done.frames,
        "missing": list(done.missing),
    }


if __name__ == "__main__":
    main()
