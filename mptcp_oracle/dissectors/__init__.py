"""Other dissectors as witnesses: what each says of a capture, in its own words.

:mod:`.dissector` has the protocol that an adapter fulfils, and ``docs/dissectors.md`` how to write
one. :mod:`mptcp_oracle.diff` compares what they say with the oracle's facts.
"""
