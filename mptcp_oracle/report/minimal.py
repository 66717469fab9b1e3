"""The fewest frames that show a difference: a capture for a bug report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mptcp_oracle.analysis.trace import analyze
from mptcp_oracle.diff import Group, asked
from mptcp_oracle.dissectors.case import told
from mptcp_oracle.dissectors.dissector import Dissector
from mptcp_oracle.dissectors.known import Known
from mptcp_oracle.dissectors.rows import gathered
from mptcp_oracle.dissectors.shrinking import shrunk
from mptcp_oracle.errors import AdapterError
from mptcp_oracle.report.differences import Checked
from mptcp_oracle.report.rewriting import commented

__all__ = ["minimal"]


def minimal(
    dissector: Dissector, name: str, checked: Checked, known: Sequence[Known], folder: Path
) -> Iterator[tuple[Path, int]]:
    """Write a small capture for each new difference of a comparison.

    Args:
        dissector: Who was compared.
        name: The capture.
        checked: The comparison.
        known: Known differences, which do not count.
        folder: Where the captures go; made if needed.

    Yields:
        Each file that was written, and how many frames it has.
    """
    with analyze(name) as trace, TemporaryDirectory(prefix="mptcp-oracle-") as scratch:
        data, part = trace.capture.data, Path(scratch, "part.pcapng")

        def of(frames: Sequence[int], field: str, kind: str) -> Group | None:
            """The difference in a part of the capture, if it is there."""
            part.write_bytes(b"".join(commented(data, {}, "", set(frames))))
            with analyze(part) as smaller:
                view = gathered(smaller, part)
            try:
                result, _ = asked(dissector, part, view, known)
            except AdapterError:
                return None
            return result.groups.get((field, kind))

        for group in checked.result.new:
            field, kind = group.row.name, group.cause
            every = range(1, trace.capture.frames + 1)
            if of(every, field, kind) is None:
                continue  # it does not come again
            frames = shrunk(every, lambda each: of(each, field, kind) is not None)  # noqa: B023
            left = of(frames, field, kind)
            if left is None:
                continue
            path = folder / f"{_slug(Path(name).stem)}-{_slug(field)}-{kind}.pcapng"
            folder.mkdir(parents=True, exist_ok=True)
            case = left.first
            text = (
                f"{field}: {checked.dissector} {checked.version} says {told(case.theirs)}, "
                f"the oracle {told(case.ours)}"
            )
            summary = f"{len(frames)} frames of {name} ({left.row.section or 'no section'}): {text}"
            comments = {frames[case.frame - 1]: text}
            path.write_bytes(b"".join(commented(data, comments, summary, set(frames))))
            yield path, len(frames)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
