"""Settings and fixtures that every test may use."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from mptcp_oracle import engine
from tests.common import profiles
from tests.common.machine import unavailable

profiles.register()


def pytest_report_header() -> str:
    """Say which engine the run tests, so that a log shows it."""
    forced = os.environ.get("MPTCP_ORACLE_ENGINE")
    form = forced or ("compiled" if engine.available() else "plain (no compiled form installed)")
    return f"mptcp-oracle engine: {form}"


@pytest.fixture(params=engine.KINDS)
def loops(request: pytest.FixtureRequest) -> SimpleNamespace:
    """The engine's loops, once in each form."""
    kind: str = request.param
    if kind == "compiled" and not engine.available():
        unavailable("the compiled engine is not installed")
    return engine.loops(kind)


@pytest.fixture(params=engine.KINDS)
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything in the test runs on one form of the engine, and the test once on each."""
    kind: str = request.param
    if kind == "compiled" and not engine.available():
        unavailable("the compiled engine is not installed")
    monkeypatch.setenv("MPTCP_ORACLE_ENGINE", kind)
    return kind
