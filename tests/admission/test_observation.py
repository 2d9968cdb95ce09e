"""What is gathered while an answer passes by."""

import json

import pytest
from msgspec.structs import replace

from tame_router.admission.observation import Observation
from tame_router.admission.settlement import due
from tame_router.answering.event import (
    DecisionMade,
    Delta,
    DraftDelta,
    Event,
    ExpertFinish,
    ExpertStart,
    Fallback,
    Note,
    Part,
    PlannedStep,
)
from tame_router.canonical_json import sha256_hex
from tame_router.catalog.expert import Catalog
from tame_router.chat import FallbackKind, FinishReason, Shape, Tool, ToolCallDelta, Usage
from tame_router.errors import NoExpertAnsweredError, StreamBrokenError
from tame_router.tenancy.tenant import Tenant
from tests.admission.conftest import asks, calls
from tests.scripted_desk import DECISION


def finish(usage: Usage) -> ExpertFinish:
    """End an expert."""
    return ExpertFinish(
        expert="legal",
        revision="",
        finish_reason=FinishReason.STOP,
        usage=usage,
        time_to_first_token_s=None,
        elapsed_s=0.1,
        notice="",
    )


def start(expert: str = "legal", part: Part = Part.LEAD) -> ExpertStart:
    """Ask an expert."""
    return ExpertStart(expert=expert, revision="", notice="", part=part)


def note(reason: str, expert: str = "legal", part: Part = Part.LEAD) -> Note:
    """Have an expert leave."""
    return Note(expert=expert, revision="", part=part, reason=reason, message="")


def test_told_and_estimated_tokens_add_up(catalog: Catalog) -> None:
    """Of several experts each is counted as it told, and estimated where it did not."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    assert seen.tokens == 0
    assert not seen.asked
    seen.see(start())
    assert seen.tokens == 100
    assert seen.asked
    seen.see(Delta(expert="legal", revision="", text="four"))
    assert seen.tokens == 102
    seen.see(finish(Usage(prompt_tokens=7, completion_tokens=1)))
    assert seen.tokens == 8
    seen.see(start())
    call = ToolCallDelta(index=0, id="x", name="look", arguments='{"a":')
    seen.see(Delta(expert="legal", revision="", text="", tool_calls=(call,)))
    seen.see(finish(Usage()))
    assert seen.tokens == 8 + 100 + 5
    seen.see(start())
    seen.see(Delta(expert="legal", revision="", text="!"))
    assert seen.tokens == 8 + 100 + 5 + 100 + 1


@pytest.mark.parametrize("later", [Part.OPINION, Part.JOINED, Part.JUDGE])
def test_who_writes_from_others_words_has_read_nothing_yet(catalog: Catalog, later: Part) -> None:
    """All experts are asked with the first one; who writes or judges, when it starts."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    parts = [("legal", Part.DRAFT), ("medical", Part.DRAFT), ("legal", later)]
    steps = tuple(PlannedStep(expert=expert, part=part) for expert, part in parts)
    seen.see(DecisionMade(answer_id="a", decision=DECISION, steps=steps))
    seen.see(start(part=Part.DRAFT))
    assert seen.tokens == 200
    seen.see(start(part=later))
    assert seen.tokens == 300


def test_a_kept_text_is_whole(catalog: Catalog) -> None:
    """Where it is kept; elsewhere there is none."""
    for keep, expected in ((True, "ab"), (False, "")):
        seen = Observation(asks(calls(Tenant(name="aa"))), catalog, keep_text=keep)
        seen.see(Delta(expert="legal", revision="", text="a"))
        seen.see(Delta(expert="legal", revision="", text="b"))
        assert seen.text == expected
        assert seen.wrote


@pytest.mark.parametrize("shape", [Shape(choices=2), Shape(tools=(Tool(name="look"),)), Shape()])
def test_a_kept_answer_is_what_its_digest_is_made_of(catalog: Catalog, shape: Shape) -> None:
    """Several choices are told apart, and calls of tools are kept with them."""
    asked = asks(calls(Tenant(name="aa")))
    question = replace(asked.question, shape=shape)
    seen = Observation(replace(asked, question=question), catalog, keep_text=True)
    assert seen.text == ""
    call = ToolCallDelta(index=0, id="x", name="look", arguments="{}")
    for choice, text, made in ((0, "租", ()), (1, "b", ()), (0, "約", (call,))):
        number = choice if shape.choices > 1 else 0
        given = made if shape.tools else ()
        seen.see(Delta(expert="legal", revision="", text=text, choice=number, tool_calls=given))
    assert sha256_hex(seen.text.encode()) == seen.record("ok").answer_digest
    if shape.choices > 1:
        assert json.loads(seen.text) == [{"content": "租約"}, {"content": "b"}]
    if shape.tools:
        [found] = json.loads(seen.text)
        assert found["tool_calls"] == [{"id": "x", "name": "look", "arguments": "{}"}]


@pytest.mark.parametrize(
    ("reason", "words", "expected"),
    [
        ("BACKEND_FAILED", "", 0),
        ("BACKEND_FAILED", "four", 102),
        ("NOT_WAITED_FOR", "", 100),
        ("TOO_LONG", "four", 102),
        ("DEADLINE_EXCEEDED", "", 100),
    ],
)
def test_who_leaves_has_read_unless_it_failed(
    catalog: Catalog, reason: str, words: str, expected: int
) -> None:
    """Only what failed before a word costs nothing."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    seen.see(start())
    if words:
        seen.see(Delta(expert="legal", revision="", text=words))
    seen.see(note(reason))
    assert seen.tokens == expected


@pytest.mark.parametrize(
    ("shown", "usage", "expected"),
    [
        (False, Usage(prompt_tokens=90, completion_tokens=3), 93),
        (True, Usage(prompt_tokens=90, completion_tokens=3), 93),
        (False, Usage(), 102),
        (True, Usage(), 102),
    ],
)
def test_a_draft_is_counted_once(
    catalog: Catalog, shown: bool, usage: Usage, expected: int
) -> None:
    """Whether it was shown or not, and told its tokens or not, and then became the answer."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    seen.see(start(part=Part.DRAFT))
    events: list[Event] = [DraftDelta(expert="legal", revision="", text="four")] if shown else []
    events += [
        replace(finish(usage), part=Part.DRAFT),
        Delta(expert="legal", revision="", text="four", part=Part.JOINED),
    ]
    for event in events:
        seen.see(event)
    assert seen.tokens == expected


def test_drafts_are_words_handed_out(catalog: Catalog) -> None:
    """They are no part of the answer, and have been paid for."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    seen.see(start(part=Part.DRAFT))
    assert not seen.handed_out
    seen.see(DraftDelta(expert="legal", revision="", text="four"))
    seen.see(note("STREAM_BROKEN", part=Part.DRAFT))
    assert (seen.handed_out, seen.wrote) == (True, False)
    assert due(StreamBrokenError("cut"), seen) == 102


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (("TOO_LONG", "TOO_LONG"), 2 * 110),
        (("DEADLINE_EXCEEDED", "BACKEND_FAILED"), 110 + 110),
        (("BACKEND_SILENT", "BACKEND_FAILED"), None),
    ],
)
def test_where_none_answered_what_was_read_and_written_counts(
    catalog: Catalog, reasons: tuple[str, str], expected: int | None
) -> None:
    """Unless all of them failed: then nothing does, whatever they wrote for nobody."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    for expert in ("legal", "medical"):
        seen.see(start(expert, part=Part.DRAFT))
    for expert, reason in zip(("legal", "medical"), reasons, strict=True):
        seen.see(replace(note(reason, expert, Part.DRAFT), written=20))
    assert due(NoExpertAnsweredError("none"), seen) == expected


def test_who_stood_in_is_recorded_however_the_answer_ended(catalog: Catalog) -> None:
    """A question that went to a provider was sent there, whether it was answered or not."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog)
    azure = Fallback(
        kind=FallbackKind.BACKEND,
        instead_of="legal",
        revision="",
        reason=StreamBrokenError.reason,
        backend="azure",
        external=True,
    )
    seen.see(start())
    seen.see(note(StreamBrokenError.reason))
    seen.see(replace(start(), fallback=azure))
    left, asked = seen.record("cancelled").steps
    assert (left.fallback, left.finish_reason) == ("", StreamBrokenError.reason)
    assert (asked.fallback, asked.finish_reason) == ("backend:azure", "cancelled")
    seen.see(finish(Usage()))
    assert [step.finish_reason for step in seen.record("ok").steps] == ["STREAM_BROKEN", "stop"]
