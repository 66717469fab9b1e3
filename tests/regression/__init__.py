"""Captures on which the analyzer once was wrong."""
