"""The table of contents: which module of the suite has which requirements."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from mptcp_oracle.rules.judging import RULES
from mptcp_oracle.spec import Requirement, catalogue

__all__ = ["MODULES", "module_of", "requirements_of"]

MODULES = MappingProxyType(
    {
        "test_s3_options": ("8684-3-", "8684-7.2-", "6824-3-", "6824-8-"),
        "test_s3_1_initiation": ("8684-3.1-", "6824-3.1-", "6824-B.1.1-"),
        "test_s3_2_joining": ("8684-3.2-", "8684-5-", "6824-3.2-", "6824-5-"),
        "test_s3_3_data_sequence_signal": ("8684-3.3-", "6824-3.3-"),
        "test_s3_3_1_mapping": ("8684-3.3.1-", "6824-3.3.1-"),
        "test_s3_3_2_data_ack": ("8684-3.3.2-", "6824-3.3.2-"),
        "test_s3_3_3_closing": ("8684-3.3.3-", "8684-D-", "6824-3.3.3-", "6824-C-"),
        "test_s3_3_4_windows": ("8684-3.3.4-", "8684-3.3.5-", "6824-3.3.4-", "6824-3.3.5-"),
        "test_s3_3_6_reliability": ("8684-3.3.6-", "6824-3.3.6-"),
        "test_s3_3_8_priority": ("8684-3.3.8-", "6824-3.3.8-"),
        "test_s3_4_addresses": (
            "8684-3.4-", "8684-3.4.1-", "8684-3.4.2-", "6824-3.4-", "6824-3.4.1-", "6824-3.4.2-",
        ),
        "test_s3_5_fast_close": ("8684-3.5-", "6824-3.5-"),
        "test_s3_6_reset": ("8684-3.6-",),
        "test_s3_7_fallback": ("8684-3.7-", "6824-3.6-"),
        "test_s3_9_heuristics": ("8684-3.9.1-", "6824-3.8.1-"),
        "test_sb_fast_open": ("8684-B.",),
    }
)  # fmt: skip
"""Module to the beginnings of the ids of its requirements."""


def module_of(requirement: str) -> str:
    """The module that has a requirement; ``""`` if none has."""
    return next((name for name, ids in MODULES.items() if requirement.startswith(ids)), "")


def requirements_of(module: str) -> Iterator[Requirement]:
    """The requirements of a module that rules judge, in the order of the RFCs."""
    ruled = {each for rule in RULES for each in rule.requirements}
    for each in catalogue().values():
        if ruled & {each.id, each.alias_of} and module_of(each.id) == module:
            yield each
