"""The page on identity: what it shows can be used as it stands."""

import re
from pathlib import Path

import pytest
import yaml

from tame_router.config import Settings
from tame_router.identity import api_key, jwks_source, key_set, refusal, tokens
from tame_router.identity.bearer import MAX_BYTES

PAGE = (Path(__file__).resolve().parents[2] / "docs/identity.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_settings_on_the_page_are_valid(block: str) -> None:
    """Each block is a part of a configuration file."""
    sections = yaml.safe_load(block)
    settings = Settings.model_validate(sections)
    assert sections.keys() <= settings.model_fields_set


def test_figures_on_the_page_are_those_of_the_code() -> None:
    """Limits that the page states are the ones in force."""
    assert len(BLOCKS) == 2
    assert (MAX_BYTES, refusal.LINES_PER_S) == (8 * 1024, 10)
    assert (jwks_source.MAX_BYTES, jwks_source.WHOLE_TIMEOUT_S) == (2**20, 15)
    assert (key_set.RETRY_S, key_set.STALE_S, tokens.VERIFIED_S) == (10, 3600, 60)
    assert len(api_key.make().key) == len("tame_k3v7qd2mxa5p_") + 43 + 6
