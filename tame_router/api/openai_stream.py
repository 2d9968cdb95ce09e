"""The bytes of a streamed chat completion: hand-made, so that a chunk costs next to nothing."""

import json
from typing import Any

import msgspec

from tame_router.answering.event import DecisionMade, Delta, DraftDelta, ExpertFinish, Final, Part
from tame_router.api.openai_decision import decision_document
from tame_router.api.openai_joined import JoinedFacts
from tame_router.chat import FinishReason, ToolCallDelta, Usage

_ENCODE = msgspec.json.Encoder().encode
_END = b"}]}\n\n"
DONE = b"data: [DONE]\n\n"


def escaped(text: str) -> bytes:
    """Write a text as a JSON string, whatever is in it."""
    try:
        return _ENCODE(text)
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        return json.dumps(text).encode()


def usage_document(usage: Usage) -> dict[str, int]:
    """Describe tokens as OpenAI does."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class ChunkWriter:
    """Writes the chunks of one stream.

    Args:
        made: The decision.
        revision: The adapter revision that answers.
        notice: Notice to show beside the answer; may be empty.
        created: Seconds since 1970.
        include_usage: The stream ends with the tokens spent.
        joined: What happened among several experts; None: one is asked.
    """

    __slots__ = (
        "_heads",
        "_include_usage",
        "_joined",
        "_made",
        "_notice",
        "_part_heads",
        "_prefix",
        "_revision",
    )

    def __init__(
        self,
        made: DecisionMade,
        revision: str,
        notice: str,
        *,
        created: int,
        include_usage: bool,
        joined: JoinedFacts | None = None,
    ) -> None:
        self._joined = joined or JoinedFacts()
        model = self._joined.model(made.decision.lead, revision)
        usage = b'"usage":null,' if include_usage else b""
        self._prefix = (
            b'data: {"id":"chatcmpl-%s","object":"chat.completion.chunk","created":%d,"model":%s,'
            % (made.answer_id.encode(), created, escaped(model))
        ) + usage
        self._heads: dict[int, bytes] = {}
        self._part_heads: dict[tuple[str, Part], bytes] = {}
        self._include_usage = include_usage
        self._made, self._revision, self._notice = made, revision, notice

    def begin(self, choices: int) -> bytes:
        """Write the first chunk of each answer; the very first holds the decision."""
        tame = decision_document(self._made, self._revision, self._notice)
        tame |= self._joined.fallback()
        extra = b'"tame":' + _ENCODE(tame) + b","
        parts = []
        for choice in range(choices):
            parts.append(
                self._prefix
                + extra
                + b'"choices":[{"index":%d,"delta":{"role":"assistant","content":""},' % choice
                + b'"logprobs":null,"finish_reason":null'
                + _END
            )
            extra = b""
        return b"".join(parts)

    def delta(self, event: Delta) -> bytes:
        """Write what an expert wrote."""
        head = self._heads.get(event.choice)
        if head is None:
            head = self._prefix + b'"choices":[{"index":%d,"delta":{' % event.choice
            self._heads[event.choice] = head
        if event.tool_calls or event.logprobs:
            return head + self._rich(event)
        # No list, no dict, no model: this is where most of a stream's time would go.
        return (
            head
            + b'"content":'
            + escaped(event.text)
            + b'},"logprobs":null,"finish_reason":null}]}\n\n'
        )

    def part(self, event: Delta) -> bytes:
        """Write what one of several experts wrote: the chunk says who, and for which part."""
        head = self._part_heads.get((event.expert, event.part))
        if head is None:
            tame = _ENCODE({"expert": event.expert, "part": event.part.value})
            head = self._prefix + b'"tame":' + tame + b',"choices":[{"index":0,"delta":{'
            self._part_heads[event.expert, event.part] = head
        if event.tool_calls:
            return head + self._rich(event)
        return (
            head
            + b'"content":'
            + escaped(event.text)
            + b'},"logprobs":null,"finish_reason":null}]}\n\n'
        )

    def draft(self, event: DraftDelta) -> bytes:
        """Write a piece of a draft, which stands beside the answer."""
        tame = b'{"expert":%s,"part":"draft","draft":%s}' % (
            escaped(event.expert),
            escaped(event.text),
        )
        empty = b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":null'
        return self._prefix + b'"tame":' + tame + b"," + empty + _END

    def _rich(self, event: Delta) -> bytes:
        parts = [b'"content":' + escaped(event.text)] if event.text else []
        if event.tool_calls:
            calls = b",".join(_call(call) for call in event.tool_calls)
            parts.append(b'"tool_calls":[' + calls + b"]")
        logprobs = b"null"
        if event.logprobs:
            logprobs = b'{"content":' + event.logprobs + b',"refusal":null}'
        return b",".join(parts) + b'},"logprobs":' + logprobs + b',"finish_reason":null' + _END

    def end(self, final: Final, finish: ExpertFinish | None, choices: int) -> bytes:
        """Write how each answer ended, the tokens spent where they were asked for, and the end."""
        reasons = finish_reasons(final, finish, choices)
        parts = [
            self._prefix
            + b'"choices":[{"index":%d,"delta":{},"logprobs":null,"finish_reason":"%s"}]'
            % (choice, reason.value.encode())
            + (self._last(final) if choice == choices - 1 else b"")
            + b"}\n\n"
            for choice, reason in enumerate(reasons)
        ]
        if self._include_usage:
            usage = _ENCODE(usage_document(final.usage))
            head = self._prefix.removesuffix(b'"usage":null,')
            parts.append(head + b'"choices":[],"usage":' + usage + b"}\n\n")
        return b"".join((*parts, DONE))

    def _last(self, final: Final) -> bytes:
        tame: dict[str, Any] = {
            "answer_id": self._made.answer_id,
            "revision": self._revision,
            "elapsed_s": round(final.elapsed_s, 6),
            "receipt": final.receipt or None,
            **self._joined.document(),
            **failovers_document(final.usage),
        }
        return b',"tame":' + _ENCODE(tame)


def failovers_document(usage: Usage) -> dict[str, int]:
    """Say how often the answer moved to another server; nothing where it did not."""
    return {"failovers": usage.failovers} if usage.failovers else {}


def finish_reasons(
    final: Final, finish: ExpertFinish | None, choices: int
) -> tuple[FinishReason, ...]:
    """Give the reason of each answer's end."""
    others = finish.other_reasons if finish else ()
    known = (final.finish_reason, *others)[:choices]
    return known + (final.finish_reason,) * (choices - len(known))


def _call(call: ToolCallDelta) -> bytes:
    """Write a piece of a call; the first one names it."""
    if not call.id and not call.name:
        return b'{"index":%d,"function":{"arguments":%s}}' % (call.index, escaped(call.arguments))
    return b'{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":%s}}' % (
        call.index,
        escaped(call.id),
        escaped(call.name),
        escaped(call.arguments),
    )
