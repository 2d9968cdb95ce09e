"""The words of a conversation: what callers send, experts read and experts write.

Values only. Limits on them are checked where requests come in (`api/`), because
they depend on configuration and on the base model.
"""

import enum
from dataclasses import dataclass

import msgspec


class Role(enum.StrEnum):
    """Who speaks, spelt as in OpenAI's chat format."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class FinishReason(enum.StrEnum):
    """Why an answer ended, spelt as in OpenAI's chat format."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A function that an expert wants called.

    Attributes:
        id: Names the call, so that its result can be sent back.
        name: Name of the function.
        arguments: JSON text, as the expert wrote it: it may not be valid.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallDelta:
    """A piece of a call that an expert wants made.

    Attributes:
        index: Which of the answer's calls this belongs to, ≥ 0.
        id: Set in the call's first piece, otherwise empty.
        name: Set in the call's first piece, otherwise empty.
        arguments: New characters of the arguments' JSON text.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One turn of a conversation.

    Attributes:
        role: Who speaks.
        content: What is said; may be empty only where there are tool calls.
        tool_calls: What an assistant's turn wanted called.
        tool_call_id: In a tool's turn: which call this is the result of.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that an expert may want called.

    Attributes:
        name: Letters, digits, `_` and `-`, at most 64.
        description: What it does.
        parameters: JSON schema of its arguments, as JSON text; empty: it takes none.
        strict: Hold the arguments to the schema; None: as the backend does by itself.
    """

    name: str
    description: str = ""
    parameters: str = ""
    strict: bool | None = None


class ToolMode(enum.StrEnum):
    """Whether tools are called, spelt as in OpenAI's chat format."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Whether tools are called; `name` only with NAMED: the one that must be."""

    mode: ToolMode = ToolMode.AUTO
    name: str = ""


class Guarding(enum.StrEnum):
    """What is done about Simplified Chinese in answers to those who read Traditional."""

    OFF = "off"
    """Nothing."""
    COUNT = "count"
    """It is counted."""
    CONVERT = "convert"
    """It is counted, and converted as Taiwan writes."""


class FallbackKind(enum.StrEnum):
    """What answers in place of an expert whose backend is gone."""

    BASE_MODEL = "base_model"
    """The same expert, on the same backend, without its adapter."""
    EXPERT = "expert"
    """Another expert."""
    BACKEND = "backend"
    """The same expert's prompt, without its adapter, on another backend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackStep:
    """One who may answer in place of an expert.

    Attributes:
        kind: What it is.
        name: Name of the expert, or of the backend; empty for the base model.
    """

    kind: FallbackKind
    name: str = ""


class Format(enum.StrEnum):
    """The form of an answer, spelt as in OpenAI's chat format."""

    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFormat:
    """The form the backend holds an answer to.

    Attributes:
        format: Text, any JSON object, or JSON of a schema.
        name: Name of the schema.
        schema: The JSON schema as JSON text; with JSON_SCHEMA only.
        strict: Hold the answer to every part of the schema; None: not said.
    """

    format: Format = Format.TEXT
    name: str = ""
    schema: str = ""
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text the answer is to rest on, given by the caller.

    Attributes:
        text: What it says.
        title: What it is called; may be empty.
        source: Where it is from, for a reference; may be empty.
    """

    text: str
    title: str = ""
    source: str = ""


class Shape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an answer may consist of, beside plain text; the default asks for nothing.

    Attributes:
        tools: Functions the expert may want called.
        tool_choice: Whether it does; None: AUTO where there are tools.
        parallel_tool_calls: Whether it may want several called at once; None: not said.
        response_format: The form of the text; None: not said.
        choices: Answers wanted of the same expert, ≥ 1.
        top_logprobs: Most probable tokens listed for each token, in [0, 20]; None: no
            log-probabilities at all.
        weighed: These only weigh answers against each other: a backend without any leaves them
            out, rather than refuse.
    """

    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    choices: int = 1
    top_logprobs: int | None = None
    weighed: bool = False


class Sampling(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How tokens are drawn; None leaves a value to the next in line.

    The caller's value wins, then the expert's, then the backend's own default.

    Attributes:
        max_tokens: Longest answer, in tokens, ≥ 1.
        temperature: In [0, 2]; 0 is greedy.
        top_p: In (0, 1].
        presence_penalty: In [-2, 2].
        frequency_penalty: In [-2, 2].
        seed: Non-negative, for repeatable draws.
        stop: Strings that end the answer; empty: none. The caller's are added to the expert's.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def over(self, base: "Sampling") -> "Sampling":
        """Lay these values over another's: ours where given, else the other's; stops of both."""
        return Sampling(
            max_tokens=base.max_tokens if self.max_tokens is None else self.max_tokens,
            temperature=base.temperature if self.temperature is None else self.temperature,
            top_p=base.top_p if self.top_p is None else self.top_p,
            presence_penalty=base.presence_penalty
            if self.presence_penalty is None
            else self.presence_penalty,
            frequency_penalty=base.frequency_penalty
            if self.frequency_penalty is None
            else self.frequency_penalty,
            seed=base.seed if self.seed is None else self.seed,
            stop=tuple(dict.fromkeys((*base.stop, *self.stop))),
        )


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens spent, as the backend counted them.

    Attributes:
        prompt_tokens: Tokens read; those of a prompt that was read again elsewhere count once.
        completion_tokens: Tokens written.
        failovers: How often the answer began anew, or went on, on another replica.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    failovers: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Sum the tokens of two steps."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            failovers=self.failovers + other.failovers,
        )
