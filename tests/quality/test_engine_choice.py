"""Which form of the engine runs, and what is said about it."""

from __future__ import annotations

import pytest

from mptcp_oracle import UsageError, engine
from tests.common.machine import unavailable

VARIABLE = "MPTCP_ORACLE_ENGINE"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the choice made earlier in this process, and what the environment says."""
    monkeypatch.delenv(VARIABLE, raising=False)
    engine._best.cache_clear()


@pytest.mark.parametrize("name", engine.NAMES)
def test_the_plain_engine_is_the_source_itself(name: str) -> None:
    """The plain loops are the ``.py`` files of the package."""
    module = getattr(engine.loops("plain"), name)
    assert module.__name__ == f"mptcp_oracle.engine.{name}"
    assert module.__file__.endswith(".py")


def test_the_compiled_engine_is_taken_where_it_is_installed() -> None:
    """Without a wish the compiled form runs, every loop of it, without a word."""
    if not engine.available():
        unavailable("the compiled engine is not installed")
    loops = engine.loops()
    assert loops is engine.loops() is engine.loops("compiled")
    assert loops.kind == "compiled"
    assert all(not getattr(loops, name).__file__.endswith(".py") for name in engine.NAMES)


def test_the_environment_forces_a_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable decides where the caller has no wish; the caller's wish goes first."""
    monkeypatch.setenv(VARIABLE, "plain")
    assert engine.loops().kind == "plain"
    monkeypatch.setenv(VARIABLE, "fast")
    assert engine.loops("plain").kind == "plain"
    with pytest.raises(UsageError, match=f"'fast' .given as {VARIABLE}"):
        engine.loops()


def test_an_unknown_form_is_refused() -> None:
    """A form that does not exist is a usage error that names those that do."""
    with pytest.raises(UsageError, match="choose compiled or plain"):
        engine.loops("numba")


def test_a_missing_compiled_form_gives_one_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one loop not compiled the whole engine runs plain, and says so once."""
    monkeypatch.setitem(engine._PACKAGES, "compiled", "mptcp_oracle.report")
    engine._load.cache_clear()
    try:
        assert engine.available() is False
        with pytest.warns(RuntimeWarning, match="no compiled form of records") as notices:
            assert engine.loops().kind == engine.loops().kind == "plain"
        assert len(notices) == 1
        assert notices[0].filename == __file__, "it does not name who asked for the engine"
        with pytest.raises(UsageError, match="the compiled engine cannot be used"):
            engine.loops("compiled")
    finally:
        engine._load.cache_clear()
        engine._best.cache_clear()
