"""Joins that cannot be had: refused with the field and what can be had, before anybody is asked."""

from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from tests.fakes.vllm import FakeVllm
from tests.flows.test_bad_input import USER, Refused, call, check, invalid

pytestmark = pytest.mark.anyio

JOINS: Mapping[str, tuple[dict[str, Any], Refused]] = {
    "more experts than there are": (
        {"join": 2, "max_experts": 5},
        invalid("constraints.max_experts", "is 5; with join 'panel' expected 2 to 4"),
    ),
    "more experts than are left": (
        {"join": 4, "max_experts": 3, "allow": ["legal", "medical"]},
        invalid("constraints.max_experts", "expected 2 to 2"),
    ),
    "one expert for a panel": (
        {"join": 2, "max_experts": 1},
        invalid("constraints.max_experts", "is 1; with join 'panel'"),
    ),
    "pinned, and several": (
        {"join": 3, "pin": "legal"},
        invalid("constraints.join", "one is pinned; leave one of them out"),
    ),
    "one left, and several": (
        {"join": 5, "allow": ["legal"]},
        invalid("constraints.join", "one may answer"),
    ),
}
SHAPES: Mapping[str, tuple[dict[str, Any], Refused]] = {
    "tools": (
        {"tools": [{"name": "look"}], "constraints": {"join": 2}},
        invalid("constraints.join", "only by single, vote, best_of;"),
    ),
    "a form": (
        {"response_format": {"format": 2}, "constraints": {"join": 3}},
        invalid("constraints.join", "'second_opinion', and tools, or a form,"),
    ),
    "several answers": (
        {"choices": 2, "constraints": {"join": 5}},
        invalid("constraints.join", "several answers, or log-probabilities"),
    ),
    "probabilities": (
        {"top_logprobs": 2, "constraints": {"join": 4}},
        invalid("constraints.join", "only by single;"),
    ),
    "fewer tokens than steps": (
        {"sampling": {"max_tokens": 1}, "constraints": {"join": 2}},
        invalid("sampling.max_tokens", "is 1, shared by 2 steps of join 'panel'; send 2 or more"),
    ),
    "no tokens": (
        {"sampling": {"max_tokens": 0}, "constraints": {"join": 2}},
        invalid("sampling.max_tokens", "is 0; expected 1 or more"),
    ),
}


@pytest.mark.parametrize("method", ["Route", "Chat", "StreamChat"])
@pytest.mark.parametrize("name", list(JOINS))
async def test_experts_that_cannot_be_asked(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, name: str, method: str
) -> None:
    """Every method refuses them, before anybody is asked."""
    fields, refused = JOINS[name]
    check(await call(channel, method, messages=[USER], constraints=fields), refused)
    assert fake_vllm.received == []


@pytest.mark.parametrize("method", ["Chat", "StreamChat"])
@pytest.mark.parametrize("name", list(SHAPES))
async def test_answers_that_no_join_can_give(
    channel: grpc.aio.Channel, fake_vllm: FakeVllm, name: str, method: str
) -> None:
    """Both methods that answer refuse them, never silently changed."""
    fields, refused = SHAPES[name]
    check(await call(channel, method, messages=[USER], **fields), refused)
    assert fake_vllm.received == []
