"""docs/fallback.md says what the code does."""

import re
from pathlib import Path

import yaml

from tame_router.answering.event import Fallback
from tame_router.answering.label import fallback_notice
from tame_router.chat import FallbackKind
from tame_router.config_backends import FallbackSettings, read_steps
from tests.answering.test_fallback import LEGAL
from tests.docs.test_examples import blocks

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/fallback.md"
PAGE = DOCUMENT.read_text(encoding="utf-8")


def test_the_settings_are_valid() -> None:
    """The example may stand in the configuration, and shows each kind of step, in the order."""
    (text,) = blocks(DOCUMENT, "yaml")
    settings = FallbackSettings.model_validate(yaml.safe_load(text)["fallback"])
    assert [step.kind for step in read_steps(settings.steps)] == list(FallbackKind)
    table = PAGE.split("## Who is asked\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)", table, flags=re.MULTILINE) == list(FallbackKind)


def test_the_notice_is_the_one_that_is_shown() -> None:
    """Word for word."""
    place = Fallback(
        kind=FallbackKind.BASE_MODEL, instead_of="legal", revision="", reason="", backend="local"
    )
    assert f"「{fallback_notice(place, LEGAL, LEGAL, 'zh-TW')}」" in PAGE
