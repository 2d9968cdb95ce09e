"""The OpenAPI document: it is served, and names every field, path and status there is."""

import json
from typing import Any

import msgspec
import pytest

from tame_router.api import openai_body
from tame_router.api.http_endpoints import document
from tame_router.api.openai_request import read_chat
from tame_router.api.shape_rules import MAX_CHOICES, MAX_TOOLS, MAX_TOP_LOGPROBS
from tame_router.config import LimitSettings
from tests.http_wire import exchange, get
from tests.scripted_desk import ScriptedDesk, serving_http

DOCUMENT: dict[str, Any] = json.loads(document())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


@pytest.mark.anyio
async def test_it_is_served_to_anyone() -> None:
    """What comes over the wire is the document of the package."""
    async with serving_http(ScriptedDesk()) as address:
        status, headers, body = await exchange(address, get("/openapi.json"))
    assert (status, headers["content-type"], body) == (200, "application/json", DOCUMENT)


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("ChatRequest", openai_body.ChatBody),
        ("Extras", openai_body.Extras),
        ("Document", openai_body.BodyDocument),
        ("StreamOptions", openai_body.StreamOptions),
    ],
)
def test_it_names_the_fields_that_are_read(name: str, struct: type[msgspec.Struct]) -> None:
    """Neither more nor fewer, and the same ones are required."""
    fields = msgspec.structs.fields(struct)
    assert set(SCHEMAS[name]["properties"]) == {field.name for field in fields}
    assert set(SCHEMAS[name]["required"]) == {field.name for field in fields if field.required}


def test_what_it_says_is_refused_is_refused() -> None:
    """Fields that may only be null are those that are refused by name."""
    only_null = {
        n for n, s in SCHEMAS["ChatRequest"]["properties"].items() if s.get("type") == "null"
    }
    assert only_null == set(openai_body.REFUSED)


def test_it_names_the_limits() -> None:
    """Ranges are those that are checked."""
    properties = SCHEMAS["ChatRequest"]["properties"]
    assert properties["n"]["maximum"] == MAX_CHOICES
    assert properties["tools"]["maxItems"] == MAX_TOOLS
    assert properties["top_logprobs"]["maximum"] == MAX_TOP_LOGPROBS


def test_the_smallest_request_it_allows_is_taken() -> None:
    """A question by the schema of a question is a request."""
    question = {"role": "user", "content": "hi"}
    assert set(SCHEMAS["Question"]["required"]) == set(question)
    body = json.dumps({"model": "tame-auto", "messages": [question]}).encode()
    assert read_chat(body, LimitSettings()).messages[0].content == "hi"


_BODY = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["requestBody"]
_EXAMPLES: dict[str, Any] = _BODY["content"]["application/json"]["examples"]


@pytest.mark.parametrize("name", _EXAMPLES)
def test_its_examples_are_taken(name: str) -> None:
    """Who copies an example asks something that is read."""
    body = json.dumps(_EXAMPLES[name]["value"]).encode()
    assert read_chat(body, LimitSettings()).messages


def test_every_reference_leads_somewhere() -> None:
    """No name in it is a dead end."""
    text = document().decode()
    for kind in ("schemas", "responses"):
        named = {part.split('"')[0] for part in text.split(f"#/components/{kind}/")[1:]}
        assert named <= set(DOCUMENT["components"][kind])
