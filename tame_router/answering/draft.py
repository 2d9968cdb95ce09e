"""A draft: what one expert wrote, kept until it is known what becomes of it."""

import json
from dataclasses import dataclass, field

from tame_router.backends.backend import Piece
from tame_router.chat import ToolCallDelta


@dataclass(slots=True, kw_only=True)
class Draft:
    """What one expert has written so far.

    Attributes:
        size: Characters kept, those of calls included.
    """

    size: int = 0
    _texts: list[str] = field(default_factory=list)
    _calls: dict[int, ToolCallDelta] = field(default_factory=dict)
    _logprobs: list[bytes] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        """Take the next piece of its first answer."""
        if piece.text:
            self._texts.append(piece.text)
            self.size += len(piece.text)
        if piece.logprobs:
            self._logprobs.append(piece.logprobs)
        for call in piece.tool_calls:
            known = self._calls.get(call.index, ToolCallDelta(index=call.index))
            self._calls[call.index] = ToolCallDelta(
                index=call.index,
                id=known.id or call.id,
                name=known.name or call.name,
                arguments=known.arguments + call.arguments,
            )
            self.size += len(call.name) + len(call.arguments)

    @property
    def text(self) -> str:
        """Its words."""
        return "".join(self._texts)

    @property
    def blank(self) -> bool:
        """It says nothing: no calls, and no characters but white space."""
        return not self._calls and not any(text.strip() for text in self._texts)

    @property
    def tool_calls(self) -> tuple[ToolCallDelta, ...]:
        """The calls it wants made, each in one piece."""
        return tuple(call for _, call in sorted(self._calls.items()))

    @property
    def said(self) -> str:
        """What it says as one text: calls as JSON, without the names they have as calls."""
        if not self._calls:
            return self.text
        calls = [[call.name, _value(call.arguments)] for call in self.tool_calls]
        return json.dumps(calls, ensure_ascii=False)

    @property
    def logprobs(self) -> list[bytes]:
        """JSON texts of OpenAI's `logprobs.content` lists, in their order."""
        return self._logprobs


def _value(arguments: str) -> object:
    """Give the arguments of a call; as they stand where they are no JSON."""
    try:
        value: object = json.loads(arguments)
    except ValueError:
        return arguments
    return value
