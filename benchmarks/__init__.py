"""Measures mptcp-oracle against tshark on large captures that it makes itself.

Run it from the checkout with ``python -m benchmarks``; docs/performance.md says what is measured
and how to read it.
"""
