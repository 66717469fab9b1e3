"""The conformance suite: pytest over captures, laid out like the RFC's table of contents."""

from __future__ import annotations
