"""Refusals: each is counted, few are logged, none with a secret."""

import logging

import pytest

from tame_router.identity.refusal import LINES_PER_S, Reason, RefusalLog, Refused


def test_a_flood_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A second gets so many lines; the next line says how many there were without one."""
    counted: list[str] = []
    now = [7.0]
    refusals = RefusalLog(counted.append, lambda: now[0])
    for _ in range(100):
        refusals.note(Refused(Reason.KEY_WRONG, "abc"))
    assert counted == ["key_wrong"] * 100
    assert len(caplog.records) == LINES_PER_S
    now[0] = 8.0
    refusals.note(Refused(Reason.NOTHING))
    *_, last = caplog.records
    assert (last.message, last.levelno) == ("identity.refused", logging.WARNING)
    assert last.facts == {  # type: ignore[attr-defined]
        "because": "nothing",
        "unlogged": 100 - LINES_PER_S,
    }
    assert caplog.records[0].facts["whose"] == "abc"  # type: ignore[attr-defined]


def test_a_strangers_name_is_cut() -> None:
    """What a stranger wrote neither fills the log nor writes lines of its own."""
    assert len(Refused(Reason.TOKEN_ISSUER, "x" * 9999).name) == 200
    assert Refused(Reason.TOKEN_ISSUER, "a\nb\x1b[31m醫院").name == "a?b?[31m醫院"
