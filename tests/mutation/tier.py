"""The tests that mutants are tried against: deterministic, and a few seconds in all.

Only tests whose expectation comes from elsewhere than the code under test are in it: worked
examples, vectors, scripts of packets, naive references, and the committed facts of captures. No
test that compares the two forms of the engine is: the compiled form would not be mutated, and
would notice every change.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["ARGUMENTS", "LEFT_OUT", "SETTINGS", "TIERS"]

UNIT = Path(__file__).resolve().parents[1] / "unit"

_FACTS = (
    "tests/unit/test_engine_numbers.py",
    "tests/property/test_number_loops.py",
    "tests/unit/test_crypto.py",
    "tests/unit/test_vectors.py",
    "tests/unit/test_mptcp.py",
    "tests/unit/test_options.py",
    "tests/unit/test_records.py",
    "tests/unit/test_records_loop.py",
    "tests/unit/test_pcapng.py",
    "tests/unit/test_packets.py",
    "tests/unit/test_packets_bounds.py",
    "tests/unit/test_packets_damage.py",
    "tests/unit/test_packets_reference.py",
    "tests/unit/test_packets_sweep.py",
    "tests/unit/test_hashes.py",
    "tests/unit/test_option_walk.py",
    "tests/unit/test_values.py",
    "tests/unit/test_streams_identity.py",
    "tests/unit/test_streams_account.py",
    "tests/unit/test_rows_account.py",
    "tests/unit/test_origins_loop.py",
    "tests/unit/test_tops_loop.py",
    "tests/unit/test_mapping_loops.py",
    "tests/unit/test_checksums_loop.py",
    "tests/unit/test_intervals.py",
    "tests/unit/test_classifier_account.py",
    "tests/unit/test_classifier_reasons.py",
    "tests/unit/test_strange_segments.py",
    "tests/unit/test_first_copy.py",
    "tests/unit/test_dataplane_mappings.py",
    "tests/unit/test_dataplane_transmissions.py",
    "tests/unit/test_connections_handshake.py",
    "tests/unit/test_joins.py",
    "tests/unit/test_joins_strange.py",
    "tests/unit/test_joins_malformed.py",
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
    "tests/unit/test_option_bits.py",
    "tests/unit/test_parts.py",
    "tests/unit/test_dataplane_edge.py",
    "tests/unit/test_fallback_rows.py",
    "tests/unit/test_origins_places.py",
    "tests/unit/test_owners_search.py",
    "tests/unit/test_handshake_reading.py",
    "tests/unit/test_handshake_meaning.py",
    "tests/unit/test_closing_rows.py",
    "tests/unit/test_story_steps.py",
    "tests/unit/test_octets_and_sums.py",
    "tests/unit/test_transmissions_judged.py",
    "tests/unit/test_fact_objects.py",
    "tests/unit/test_table_columns.py",
    "tests/unit/test_trace_face.py",
    "tests/unit/test_integrity.py",
    "tests/unit/test_announced.py",
    "tests/unit/test_coverage_of_data.py",
    "tests/unit/test_differing.py",
    "tests/unit/test_ordering.py",
    "tests/unit/test_widths.py",
    "tests/property/test_dataplane_loops.py",
    "tests/unit/test_golden_facts.py",
    "tests/unit/test_generated_facts.py",
    "tests/quality/test_engine_choice.py",
)
_RULES = (
    "tests/unit/test_ledger.py",
    "tests/unit/test_waivers.py",
    *(f"tests/unit/{path.name}" for path in sorted(UNIT.glob("test_rules_*.py"))),
)

TIERS = {"facts": _FACTS, "rules": _RULES}
"""By gate: the files, every test of which is in the tier that is neither slow nor left out."""

LEFT_OUT = {
    r"(tables|facts_trace)\.py::.*\[(bulk|checksum-f|checksums|concurrent|fullmesh|link|loss|path"
    r"|remove-address-m|router|subflow|three)[a-z-]*\.pcap": "large recordings",
    r"test_tables\.py::.*\[(fallback|infinite|joined|options|tcp-fast|zero)": "seconds of counting",
    r"test_tables\.py::test_whether_copies": "seconds of counting",
    r"test_lookups\.py::test_octets_of_a_recording": "seconds of counting",
    r"test_facts_trace\.py::test_segments_agree_with_the_lookups\[(?!seed)": "seconds",
    r"test_facts_trace\.py::test_(every_attribute|large_numbers)": "many recordings",
    r"test_packets_damage\.py::test_a_snap_length_may_cut_anywhere": "thousands of cuts",
    r"test_first_copy\.py::.*thousands_of_frames": "thousands of frames",
    r"test_packets_bounds\.py::test_a_missing_bound": "mutates by itself",
    r"\[(.*-)?compiled(-.*)?\]$": "the form of the engine that is not mutated",
    r"linear_time": "measures time",
    r"test_joins.*\.py::test_many_": "thousands of joins",
}  # fmt: skip
"""Tests in these files that are not in the tier, as parts of their names; and why."""

ARGUMENTS = (
    "-p", "no:cacheprovider",
    "-p", "no:xdist",
    "-p", "no:pytest_cov",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
    "--capture=no",
    # Rewriting would import the project itself, as the package of a plugin, and no mutant.
    "--assert=plain",
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
