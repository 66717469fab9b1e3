"""Packing: arrays as the plotting library takes them, and JSON that may stand inside HTML."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["packed", "script_json"]


def packed(values: Array) -> dict[str, str]:
    """An array as base64, in the smallest type that loses nothing.

    Integers beyond 32 bits become doubles, which are exact up to 2**53: relative DSNs fit.

    Args:
        values: One column, or several as a table with a row a point.
    """
    import numpy as np

    kind, name = np.dtype(np.float64), "f8"
    if values.dtype == np.float32:
        kind, name = values.dtype, "f4"
    elif values.dtype.kind in "iub":
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        for each in ("u1", "u2", "u4", "i4"):
            limits = np.iinfo(each)
            if limits.min <= low and high <= limits.max:
                kind, name = np.dtype(f"<{each}"), each
                break
    data = np.ascontiguousarray(values, kind.newbyteorder("<")).tobytes()
    found = {"dtype": name, "bdata": base64.b64encode(data).decode("ascii")}
    if values.ndim > 1:
        found["shape"] = ", ".join(map(str, values.shape))
    return found


def script_json(value: object) -> str:
    """JSON for a script element: nothing in it can end the element or begin another one."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
