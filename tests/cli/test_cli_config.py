"""`tame config`."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Tame


def test_the_settings_in_force_are_shown(
    tame: Tame, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and environment are laid over the defaults, and secrets are masked."""
    monkeypatch.setenv("TAME_SERVER__GRACE_S", "7")
    monkeypatch.setenv("TAME_BACKENDS__LOCAL__API_KEY", "hunter2")
    result = tame("config", "show", "--config", str(config_file))
    shown = yaml.safe_load(result.out)
    assert result.code == 0
    assert (shown["server"]["port"], shown["server"]["grace_s"]) == (0, 7)
    assert shown["backends"]["local"]["api_key"] == "**********"
    assert "hunter2" not in result.out


def test_the_schema_is_printed(tame: Tame) -> None:
    """The schema is JSON, for an editor."""
    result = tame("config", "schema")
    assert result.code == 0
    assert json.loads(result.out)["title"] == "TAME Router configuration"
