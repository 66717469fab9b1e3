"""Random sequences of legal and illegal events, played to a live implementation.

Every event says what must come of it; the application's octets are held against the peer's; and the
rules for captures judge every segment that the implementation sent.
"""
