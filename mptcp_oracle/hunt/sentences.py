"""Sentences of RFC 8684 that a report quotes, by field: what the expected value follows from."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from mptcp_oracle.spec import by_id, matching

__all__ = ["sentence"]

REQUIREMENTS = (
    ("*expected_token", "8684-3.1-token-derivation"),
    ("*expected_idsn", "8684-3.1-idsn-derivation"),
    ("*echoed_key*", "8684-3.1-echoed-key-same"),
    ("*nomoresubflows*", "8684-3.1-flag-c-no-join"),
    ("mptcp.stream", "8684-3.2-join-demultiplexed-by-token"),
    ("mptcp.analysis.subflows", "8684-3.2-join-demultiplexed-by-token"),
    ("mptcp.master", "8684-3.1-capable-first-subflow-only"),
    ("*checksum", "8684-3.3-checksum-as-negotiated"),
    ("mptcp*.dsn", "8684-3.3.1-ssn-relative-dsn-absolute"),
    ("*rawdsn64", "8684-3.3.1-dsn-kept-64-bit"),
    ("mptcp.related_mapping", "8684-3.3.1-payload-covered-by-mapping"),
    ("mptcp.reinjection_of", "8684-3.3.6-same-dsn-same-octet"),
    ("*missing_mapping", "8684-3.3.1-payload-covered-by-mapping"),
    ("*hmac", "8684-3.4.1-add-addr-hmac"),
)
"""Patterns of fields as in :mod:`fnmatch`, the first that fits; else by the field's section."""


def sentence(field: str, sections: str) -> tuple[str, str] | None:
    """A section of RFC 8684 and a sentence of it, word by word; ``None`` if there is none.

    Args:
        field: The field.
        sections: Its sections, as its table has them.
    """
    for pattern, name in REQUIREMENTS:
        if fnmatchcase(field, pattern):
            found = by_id(name)
            return found.section, found.quotes[0]
    return next(_of(sections.split(", ")), None)


def _of(sections: list[str]) -> Iterator[tuple[str, str]]:
    for section in sections:
        for each in matching(f"8684-{section}-"):
            if each.quotes and not each.figure:
                yield each.section, each.quotes[0]
