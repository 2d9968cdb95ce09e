"""A whole chat completion, gathered from its events."""

from typing import Any

import msgspec

from tame_router.answering.event import (
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    Final,
)
from tame_router.api.openai_decision import decision_document, decision_headers
from tame_router.api.openai_joined import JoinedFacts
from tame_router.api.openai_stream import (
    escaped,
    failovers_document,
    finish_reasons,
    usage_document,
)
from tame_router.chat import ToolCallDelta


class _Choice:
    """One of the answers, as far as it has been written."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.logprobs: list[bytes] = []
        self.calls: dict[int, tuple[str, str, list[str]]] = {}

    def take(self, event: Delta) -> None:
        """Add what an expert wrote."""
        if event.text:
            self.texts.append(event.text)
        if event.logprobs:
            self.logprobs.append(event.logprobs.strip()[1:-1])
        for call in event.tool_calls:
            self._take_call(call)

    def _take_call(self, call: ToolCallDelta) -> None:
        known = self.calls.get(call.index, ("", "", []))
        known[2].append(call.arguments)
        self.calls[call.index] = (known[0] or call.id, known[1] or call.name, known[2])

    def document(self, index: int, reason: str) -> dict[str, Any]:
        """Describe it as OpenAI does."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": _raw("".join(self.texts)) if self.texts or not self.calls else None,
            "refusal": None,
        }
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": _raw(name_id),
                    "type": "function",
                    "function": {"name": _raw(name), "arguments": _raw("".join(arguments))},
                }
                for _, (name_id, name, arguments) in sorted(self.calls.items())
            ]
        logprobs = None
        if self.logprobs:
            content = b"[" + b",".join(part for part in self.logprobs if part.strip()) + b"]"
            logprobs = {"content": msgspec.Raw(content), "refusal": None}
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def _raw(text: str) -> msgspec.Raw:
    """Put a text's JSON into a document as it is, since it may hold what is no text."""
    return msgspec.Raw(escaped(text))


class Completion:
    """Gathers the events of one answer.

    Args:
        choices: Answers wanted, ≥ 1.
        created: Seconds since 1970.
    """

    def __init__(self, *, choices: int, created: int) -> None:
        self._choices = [_Choice() for _ in range(choices)]
        self._created = created
        self._made: DecisionMade | None = None
        self._finish: ExpertFinish | None = None
        self._final: Final | None = None
        self._joined = JoinedFacts()

    async def emit(self, event: Event) -> None:
        """Take an event in."""
        if not isinstance(event, Delta):
            self._joined.see(event)
        match event:
            case Delta():
                self._choices[event.choice].take(event)
                if self._joined.several:
                    self._joined.add_part(event)
            case DecisionMade():
                self._made = event
            case ExpertFinish():
                self._finish = self._finish or event
            case Final():
                self._final = event

    @property
    def headers(self) -> dict[str, str]:
        """Headers that tell who answered."""
        return decision_headers(self._made, self._joined.start) if self._made else {}

    def body(self) -> bytes:
        """Write the answer.

        Raises:
            RuntimeError: When it has not been finished.
        """
        made, final = self._made, self._final
        if made is None or final is None:
            raise RuntimeError("the answer ended without its decision or its final event")
        revision = self._joined.revision(self._finish.revision if self._finish else "")
        notice = self._joined.start.notice if self._joined.start else ""
        tame = decision_document(made, revision, notice)
        tame |= {"elapsed_s": round(final.elapsed_s, 6), "receipt": final.receipt or None}
        tame |= self._joined.document() | failovers_document(final.usage)
        reasons = finish_reasons(final, self._finish, len(self._choices))
        return msgspec.json.encode(
            {
                "id": f"chatcmpl-{made.answer_id}",
                "object": "chat.completion",
                "created": self._created,
                "model": self._joined.model(made.decision.lead, revision),
                "choices": [
                    choice.document(index, reason.value)
                    for index, (choice, reason) in enumerate(
                        zip(self._choices, reasons, strict=True)
                    )
                ],
                "usage": usage_document(final.usage),
                "tame": tame,
            }
        )
