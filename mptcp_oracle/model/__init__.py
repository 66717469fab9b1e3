"""The formal model: an executable labelled transition system of MPTCP connections.

It makes traces whose truth is known by construction, and shares no logic with the analyzer.
"""
