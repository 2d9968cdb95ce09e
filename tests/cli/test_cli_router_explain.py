"""`tame router explain`."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Tame
from tests.small_experts import QUESTIONS

LEGAL = QUESTIONS["legal"][1]


def test_the_decision_is_told_in_words(tame: Tame, config_file: Path) -> None:
    """Who answers and why, the language, the part that decided, the features."""
    result = tame("router", "explain", LEGAL, "--config", str(config_file))
    assert result.code == 0, result.err
    assert LEGAL in result.out
    assert "legal answers: it is the most probable expert." in result.out
    assert "Read as English; decided by the lexical model" in result.out
    assert "Speaks for legal: 「" in result.out
    assert "Speaks against legal: " in result.out
    assert "%" in result.out


def test_the_decision_is_one_json_object(tame: Tame, config_file: Path) -> None:
    """Features for the lead weigh more than nothing, those against it do not."""
    result = tame("router", "explain", LEGAL, "--json", "--config", str(config_file))
    found = json.loads(result.out)
    assert (found["text"], found["expert"], found["experts"]) == (LEGAL, "legal", ["legal"])
    assert (found["stage"], found["reason"], found["language"]) == ("fast", "MOST_PROBABLE", "en")
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert found["features_for"]
    assert all(feature["weight"] > 0 for feature in found["features_for"])
    assert all(feature["weight"] <= 0 for feature in found["features_against"])


def test_an_unsure_decision_is_told_as_one(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fallback answers because nobody is probable enough, and markup stays text."""
    monkeypatch.setenv("TAME_ROUTING__THRESHOLD", "1")
    result = tame("router", "explain", "[bold] zxqv 7", "--config", str(config_file))
    assert result.code == 0, result.err
    assert "[bold] zxqv 7" in result.out
    assert "general answers: no expert is probable enough, and it is the fallback." in result.out


@pytest.mark.parametrize("text", [" ", "", "bad \udcff byte"])
def test_a_text_that_is_none_is_refused(tame: Tame, config_file: Path, text: str) -> None:
    """The exit is 2, before anything is loaded."""
    result = tame("router", "explain", text, "--config", str(config_file))
    assert result.code == 2
    assert "tame: INVALID_REQUEST: text: " in result.err
