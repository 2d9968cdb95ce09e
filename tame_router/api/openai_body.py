"""The body of `POST /v1/chat/completions`, field by field, as msgspec reads it."""

from typing import Annotated

import msgspec
from msgspec import Raw

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer of 64 bits: what goes beyond is refused while it is read."""


ABSENT = Raw()
"""A field that was not sent."""


class Part(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a message's content; only text is read, the others are refused by name."""

    type: str
    text: str | None = None
    image_url: Raw = ABSENT
    input_audio: Raw = ABSENT
    file: Raw = ABSENT
    refusal: Raw = ABSENT


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True):
    """A function that an assistant's turn called."""

    name: str
    arguments: str


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A call that an assistant's turn made."""

    id: str
    function: CalledFunction
    type: str = "function"


class BodyMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A message."""

    role: str
    content: str | list[Part] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None
    audio: Raw = ABSENT
    annotations: Raw = ABSENT
    function_call: Raw = ABSENT


class Function(msgspec.Struct, forbid_unknown_fields=True):
    """A function that may be called."""

    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class BodyTool(msgspec.Struct, forbid_unknown_fields=True):
    """A tool; only functions are known."""

    type: str
    function: Function | None = None
    custom: Raw = ABSENT


class ChosenFunction(msgspec.Struct, forbid_unknown_fields=True):
    """The function that must be called."""

    name: str


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """The tool that must be called."""

    type: str
    function: ChosenFunction | None = None
    custom: Raw = ABSENT
    allowed_tools: Raw = ABSENT


class Schema(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON schema for the answer."""

    name: str
    schema: Raw = ABSENT
    description: str | None = None
    strict: bool | None = None


class BodyFormat(msgspec.Struct, forbid_unknown_fields=True):
    """The form of the answer."""

    type: str
    json_schema: Schema | None = None


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What a stream holds beside the answer; obfuscation is none of ours, and may be declined."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class BodyDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A text the answer is to rest on."""

    text: str
    title: str | None = None
    source: str | None = None


class Extras(msgspec.Struct, forbid_unknown_fields=True):
    """What only this service knows: the caller's wishes about who answers, and how joined."""

    join: str | None = None
    experts: list[str] | None = None
    deny: list[str] | None = None
    max_experts: Whole | None = None
    order: str | None = None
    drafts: bool | None = None
    no_fallback: bool | None = None


class ChatBody(msgspec.Struct, forbid_unknown_fields=True):
    """The whole body. What is `Raw` at the end is known, and refused by name where it is set."""

    model: str
    messages: list[BodyMessage]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Whole | None = None
    max_completion_tokens: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: Whole | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    tools: list[BodyTool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    response_format: BodyFormat | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    documents: list[BodyDocument | str] | None = None
    tame: Extras | None = None
    logit_bias: Raw = ABSENT
    functions: Raw = ABSENT
    function_call: Raw = ABSENT
    modalities: Raw = ABSENT
    audio: Raw = ABSENT
    prediction: Raw = ABSENT
    web_search_options: Raw = ABSENT
    reasoning_effort: Raw = ABSENT
    verbosity: Raw = ABSENT
    prompt_cache_retention: Raw = ABSENT
    moderation: Raw = ABSENT


REFUSED = {
    "logit_bias": "token numbers differ between base models; leave it out",
    "functions": "it has been replaced; send `tools`",
    "function_call": "it has been replaced; send `tool_choice`",
    "audio": "experts write text; leave it out",
    "prediction": "leave it out",
    "web_search_options": "nothing is searched; send texts as `documents`",
    "reasoning_effort": "the experts' base models do not reason apart from their answer;"
    " leave it out",
    "verbosity": "say it in a system message, or set `max_completion_tokens`",
    "prompt_cache_retention": "leave it out",
    "moderation": "leave it out",
}
"""Fields of OpenAI's that this service does not do, and what to do instead."""
