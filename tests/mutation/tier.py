"""The tests that mutants are tried against: deterministic, and a few seconds in all.

Only tests whose expectation comes from elsewhere than the code under test are in it: worked
examples, vectors, scripts of packets, naive references, and the committed facts of captures. No
test that compares the two forms of the engine is: the compiled form would not be mutated, and
would notice every change.
"""

from __future__ import annotations

__all__ = ["ARGUMENTS", "FILES", "SETTINGS"]

FILES = (
    "tests/unit/test_crypto.py",
    "tests/unit/test_vectors.py",
    "tests/unit/test_mptcp.py",
    "tests/unit/test_options.py",
    "tests/unit/test_records.py",
    "tests/unit/test_pcapng.py",
    "tests/unit/test_packets.py",
    "tests/unit/test_packets_bounds.py",
    "tests/unit/test_packets_damage.py",
    "tests/unit/test_streams_identity.py",
    "tests/unit/test_strange_segments.py",
    "tests/unit/test_first_copy.py",
    "tests/unit/test_dataplane_mappings.py",
    "tests/unit/test_dataplane_transmissions.py",
    "tests/unit/test_connections_handshake.py",
    "tests/unit/test_joins.py",
    "tests/unit/test_joins_strange.py",
    "tests/unit/test_subflows_vantage.py",
    "tests/unit/test_closing_states.py",
    "tests/unit/test_closing_fallback.py",
    "tests/unit/test_story_signals.py",
    "tests/unit/test_schedulers_observation.py",
    "tests/unit/test_checksums_analysis.py",
    "tests/unit/test_lookups.py",
    "tests/unit/test_facts_trace.py",
    "tests/unit/test_tables_needed.py",
    "tests/unit/test_tables.py",
    "tests/property/test_dataplane_loops.py",
    "tests/unit/test_golden_facts.py",
)
"""Every test in these files that is not slow."""

ARGUMENTS = (
    "-p", "no:cacheprovider",
    "-p", "no:xdist",
    "-p", "no:pytest_cov",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
    "--capture=no",
    "-qq",
    "-m", "not slow",
)  # fmt: skip
"""What pytest is started with."""

SETTINGS = {
    "MPTCP_ORACLE_ENGINE": "plain",
    "MPTCP_ORACLE_PROFILE": "mutation",
    "PYTHONHASHSEED": "0",
    "CI": "",
}
"""The environment: the plain engine, and Hypothesis with few examples, always the same."""
