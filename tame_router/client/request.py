"""Requests of the SDK, built from plain values."""

from collections.abc import Collection, Sequence
from typing import TypedDict, TypeVar, Unpack

from tame_router.chat import Document, Message, ResponseFormat, Role, Sampling, Tool, ToolChoice
from tame_router.client.sendable import sendable
from tame_router.client.shape import write_call, write_document, write_format, write_tool
from tame_router.client.shape import write_choice as write_tool_choice
from tame_router.errors import InvalidRequestError
from tame_router.v1 import chat_pb2, decision_pb2, router_service_pb2

Conversation = str | Sequence[Message]
"""A question, or a conversation whose last message is the user's."""

_ROLES = {
    Role.SYSTEM: chat_pb2.ROLE_SYSTEM,
    Role.USER: chat_pb2.ROLE_USER,
    Role.ASSISTANT: chat_pb2.ROLE_ASSISTANT,
    Role.TOOL: chat_pb2.ROLE_TOOL,
}


class Choice(TypedDict, total=False):
    """Who answers.

    Attributes:
        expert: The one expert that must answer.
        allow: Experts that may answer; none: all.
        deny: Experts that must not answer.
        revision: The one adapter revision of `expert` that must answer.
        join: How several experts' answers become one: `panel`, `second_opinion`, `fuse`,
            `vote`, `best_of`, or `single`: the lead alone; none: the router decides.
        max_experts: How many experts are asked, with a join of several; at most so many without.
        interleaved: A panel's parts come all at once, for showing columns.
        drafts: Drafts that the answer is made from are sent too.
        no_fallback: Nobody may answer in the place of an expert whose backend is gone.
    """

    expert: str
    allow: Collection[str]
    deny: Collection[str]
    revision: str
    join: str
    max_experts: int | None
    interleaved: bool
    drafts: bool
    no_fallback: bool


class Options(Choice, total=False):
    """Who answers, and how.

    Attributes:
        sampling: How the answer is to be drawn; what is None is left to the expert.
        tools: Functions that the expert may want called.
        tool_choice: Whether they are called; none: the expert decides.
        parallel_tool_calls: Whether several may be wanted at once.
        response_format: The form that the answer is held to.
        choices: Answers wanted of the same expert.
        top_logprobs: How many of the most probable tokens are listed for each token; none: no
            probabilities are told.
        documents: Texts that the answer is to rest on.
        user: Your own name for the person that asks, for your audit records.
    """

    sampling: Sampling
    tools: Sequence[Tool]
    tool_choice: ToolChoice | None
    parallel_tool_calls: bool | None
    response_format: ResponseFormat | None
    choices: int
    top_logprobs: int | None
    documents: Sequence[Document]
    user: str


ChatRequestT = TypeVar(
    "ChatRequestT", router_service_pb2.ChatRequest, router_service_pb2.StreamChatRequest
)


def route_request(
    conversation: Conversation, *, explain: bool, **choice: Unpack[Choice]
) -> router_service_pb2.RouteRequest:
    """Write a request for a decision.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    _require_known(choice, Choice)
    return router_service_pb2.RouteRequest(
        messages=_messages(conversation), constraints=_constraints(choice), explain=explain
    )


def chat_request(
    kind: type[ChatRequestT], conversation: Conversation, **options: Unpack[Options]
) -> ChatRequestT:
    """Write a request for an answer, whole or streamed.

    Raises:
        InvalidRequestError: When a request cannot hold a value.
    """
    _require_known(options, Options)
    request = kind(messages=_messages(conversation), constraints=_constraints(options))
    sampling = options.get("sampling")
    if sampling is not None:
        request.sampling.CopyFrom(_sampling(sampling))
    # Both kinds have the same fields, which the type variable cannot say.
    _write_shape(request, options)
    return request


def _write_shape(
    request: router_service_pb2.ChatRequest | router_service_pb2.StreamChatRequest,
    options: Options,
) -> None:
    for index, tool in enumerate(options.get("tools", ())):
        with sendable(f"tools[{index}]"):
            request.tools.append(write_tool(tool))
    for index, document in enumerate(options.get("documents", ())):
        with sendable(f"documents[{index}]"):
            request.documents.append(write_document(document))
    choice, form = options.get("tool_choice"), options.get("response_format")
    if choice is not None:
        with sendable("tool_choice"):
            request.tool_choice.CopyFrom(write_tool_choice(choice))
    if form is not None:
        with sendable("response_format"):
            request.response_format.CopyFrom(write_format(form))
    for name in ("parallel_tool_calls", "choices", "top_logprobs", "user"):
        value = options.get(name)
        if value is not None:
            with sendable(name):
                setattr(request, name, value)


def _messages(conversation: Conversation) -> list[chat_pb2.Message]:
    if isinstance(conversation, str):
        conversation = [Message(role=Role.USER, content=conversation)]
    return [_message(index, message) for index, message in enumerate(conversation)]


def _message(index: int, message: Message) -> chat_pb2.Message:
    with sendable(f"messages[{index}].content"):
        proto = chat_pb2.Message(role=_ROLES[message.role], content=message.content)
    if message.tool_calls or message.tool_call_id:
        with sendable(f"messages[{index}].tool_calls"):
            proto.tool_calls.extend(map(write_call, message.tool_calls))
            proto.tool_call_id = message.tool_call_id
    return proto


def _constraints(choice: Choice) -> decision_pb2.Constraints:
    with sendable("constraints"):
        return decision_pb2.Constraints(
            pin=choice.get("expert", ""),
            allow=choice.get("allow", ()),
            deny=choice.get("deny", ()),
            revision=choice.get("revision", ""),
            join=_join(choice.get("join", "")),
            max_experts=choice.get("max_experts"),
            order=decision_pb2.ORDER_INTERLEAVED
            if choice.get("interleaved")
            else decision_pb2.ORDER_UNSPECIFIED,
            drafts=choice.get("drafts", False),
            no_fallback=choice.get("no_fallback", False),
        )


def _join(name: str) -> decision_pb2.Join.ValueType:
    """Give the join of a name; empty: the router decides.

    Raises:
        InvalidRequestError: When there is none of that name.
    """
    known = {key.removeprefix("JOIN_").lower(): value for key, value in decision_pb2.Join.items()}
    if name and (name not in known or not known[name]):
        names = ", ".join(key for key, value in known.items() if value)
        raise InvalidRequestError(
            f"join is {name[:40]!r}; expected one of {names}", field="constraints.join"
        )
    return known.get(name, decision_pb2.JOIN_UNSPECIFIED)


def _require_known(given: Collection[str], kind: type[Choice]) -> None:
    unknown = set(given) - set(kind.__annotations__)
    if unknown:
        raise TypeError(f"unknown keyword {', '.join(sorted(unknown))}")


def _sampling(sampling: Sampling) -> chat_pb2.Sampling:
    with sendable("sampling"):
        return chat_pb2.Sampling(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            seed=sampling.seed,
            stop=sampling.stop,
        )
