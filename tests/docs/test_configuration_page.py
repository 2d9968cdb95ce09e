"""What `docs/configuration.md` says of settings is what the settings are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tame_router.config import Settings
from tame_router.config_backends import default_backends

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
INSTEAD = {"backends.local.api_key"}
"""Settings that stand in the remark beside another."""


def leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Give each setting by its whole name, with its value."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from leaves(value, f"{name}.{key}" if name else key)
    else:
        yield name, values


def test_the_page_has_all_settings_with_their_defaults() -> None:
    """Whoever copies the page changes nothing, and no setting is kept from the reader."""
    found = re.search(r"```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    page = yaml.safe_load(found[1])
    Settings.model_validate(page)
    page["backends"] = {name: page["backends"][name] for name in default_backends()}
    settings = dict(leaves(Settings().model_dump(mode="json")))
    assert dict(leaves(page)) == {
        name: value for name, value in settings.items() if name not in INSTEAD
    }
