"""`tame router`."""

import json
from pathlib import Path

import pytest

from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tame_router.routing.artefact_folder import load_artefact
from tame_router.trained_router import plan_lesson
from tests.cli.conftest import Tame


def test_training_says_how_good_it_is(
    tame: Tame,
    config_file: Path,
    settings: Settings,
    catalog: Catalog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Progress goes to standard error, the measures and the place to standard output."""
    monkeypatch.setenv("TAME_STATE_DIR", str(tmp_path / "other"))
    plain = tame("router", "train", "--config", str(config_file))
    machine = tame("router", "train", "--json", "--config", str(config_file))
    assert plain.code == machine.code == 0
    assert machine.err == ""
    facts = json.loads(machine.out)
    trained = load_artefact(plan_lesson(settings, catalog).artefact_dir, catalog.names)
    assert facts["experts"] == ["electronics", "general", "legal", "medical"]
    assert facts["lines"] == 96
    assert facts["accuracy"].keys() == {"any", "en", "zh-TW"}
    assert Path(facts["folder"]).parent == tmp_path / "other"
    assert f"digest {facts['digest'][:16]}" in plain.out
    assert facts["digest"] == trained.digest
    assert "trained on 96 lines" in plain.out
    assert plain.err.splitlines()[-1].startswith("[7/7] ")


def test_training_that_is_not_needed_is_left_out(
    tame: Tame,
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `--if-needed` a router that fits is kept, and one that does not is trained."""
    monkeypatch.setenv("TAME_STATE_DIR", str(tmp_path / "other"))
    first = tame("router", "train", "--if-needed", "--config", str(config_file))
    second = tame("router", "train", "--if-needed", "--config", str(config_file))
    assert first.code == second.code == 0
    assert "does not exist" in first.err
    assert "[7/7] " in first.err
    assert second.err == ""
    assert "nothing has changed" in second.out
    assert second.out.splitlines()[-1] == first.out.splitlines()[-1]


def test_experts_that_cannot_be_told_apart_are_refused(
    tame: Tame, config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without teaching lines there is nothing to train on, and the exit is 3."""
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("TAME_EXPERTS_DIR", str(tmp_path / "none"))
    result = tame("router", "train", "--config", str(config_file))
    assert result.code == 3
    assert "holds no expert" in result.err
