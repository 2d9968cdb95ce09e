"""What is gathered while an answer passes by."""

import dataclasses
import json

import pytest

from tame_router.admission.observation import Observation
from tame_router.answering.event import Delta, ExpertFinish
from tame_router.canonical_json import sha256_hex
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Shape, Tool, ToolCallDelta, Usage
from tame_router.tenancy.tenant import Tenant
from tests.admission.conftest import asks, calls


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


def test_told_and_estimated_tokens_add_up(catalog: Catalog) -> None:
    """Of several experts each is counted as it told, and estimated where it did not."""
    seen = Observation(asks(calls(Tenant(name="aa"))), catalog, prompt_tokens=100)
    assert seen.tokens == 0
    seen.see(Delta(expert="legal", revision="", text="four"))
    assert seen.tokens == 102
    seen.see(finish(Usage(prompt_tokens=7, completion_tokens=1)))
    assert seen.tokens == 8
    call = ToolCallDelta(index=0, id="x", name="look", arguments='{"a":')
    seen.see(Delta(expert="legal", revision="", text="", tool_calls=(call,)))
    seen.see(finish(Usage()))
    assert seen.tokens == 8 + 100 + 5
    seen.see(Delta(expert="legal", revision="", text="!"))
    assert seen.tokens == 8 + 100 + 5 + 100 + 1


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
    question = dataclasses.replace(asked.question, shape=shape)
    seen = Observation(dataclasses.replace(asked, question=question), catalog, keep_text=True)
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
