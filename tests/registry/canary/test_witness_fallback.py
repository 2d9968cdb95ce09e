"""What an answer in an expert's place says of the expert's revisions."""

import pytest
from msgspec.structs import replace

from tame_router.answering.event import ExpertStart, Fallback, Note, Part
from tame_router.chat import FallbackKind
from tame_router.config_registry import CanarySettings
from tame_router.errors import BackendUnavailableError, StreamBrokenError
from tame_router.registry.canary.shadow import Copy
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.registry.canary.witness import Witness
from tests.registry.canary.test_witness import (
    CATALOG,
    LIVE,
    NEW,
    NOW,
    QUESTION,
    SHADOWED,
    counted,
    finish,
    written,
)

PLACE = Fallback(
    kind=FallbackKind.BASE_MODEL,
    instead_of="legal",
    revision=NEW.name,
    reason="ADAPTER_NOT_LOADED",
    backend="local",
)


def begun(*, shadow: bool = False) -> CanaryWatch:
    """Give a watch over one canary of the legal expert."""
    watch = CanaryWatch(CanarySettings(), lambda _, __, ___: None)
    watch.begin("legal", LIVE.name, NEW.name, shadow=shadow)
    return watch


def test_a_failure_that_a_note_has_told_counts_once() -> None:
    """Where nobody answered for an expert its error ends the answer too."""
    watch = begun()
    heard = Witness(watch).hear(QUESTION, CATALOG, NOW)
    heard.see(
        Note(expert="legal", revision=NEW.name, part=Part.LEAD, reason="BACKEND_SILENT", message="")
    )
    facts = {"expert": "legal", "revision": NEW.name}
    heard.failed(BackendUnavailableError("gone", metadata=facts))
    assert counted(watch) == (0, 1)


def test_what_another_wrote_for_an_expert_says_nothing_of_it() -> None:
    """It is not its revision's answer: it is not counted, and not compared with a shadow's."""
    watch = begun(shadow=True)
    offered: list[Copy] = []
    heard = Witness(watch, offered.append).hear(QUESTION, SHADOWED, NOW)
    for event in (*written(LIVE.name)[:-1], replace(finish(LIVE.name), fallback=PLACE)):
        heard.see(event)
    assert offered == []
    assert counted(watch) == (0, 0)


@pytest.mark.parametrize("before_a_word", [True, False])
def test_who_fails_in_an_experts_place_is_not_counted(before_a_word: bool) -> None:
    """Its successes are not either: where it is the live revision, only its failures would be."""
    watch = begun()
    heard = Witness(watch).hear(QUESTION, CATALOG, NOW)
    gone = Note(
        expert="legal", revision=NEW.name, part=Part.LEAD, reason="ADAPTER_NOT_LOADED", message=""
    )
    heard.see(gone)
    heard.see(ExpertStart(expert="legal", revision=LIVE.name, notice="", fallback=PLACE))
    if before_a_word:
        heard.see(replace(gone, revision=LIVE.name, reason="BACKEND_FAILED"))
    else:
        facts = {"expert": "legal", "revision": LIVE.name}
        heard.failed(StreamBrokenError("it broke", metadata=facts))
    assert counted(watch) == (0, 1)
