"""Rules: from what a trace shows to what it means for each requirement of the RFCs."""

from __future__ import annotations
