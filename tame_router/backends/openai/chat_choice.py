"""One of the answers of a stream: what has arrived of it and was not handed out yet."""

from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation, Piece
from tame_router.backends.openai.wire import CallPiece, Choice, finish_reason_of
from tame_router.chat import FinishReason, ToolCallDelta
from tame_router.errors import BackendProtocolError, StreamBrokenError

_NO_LIST: Final = (b"null", b"[]")


class ChatChoice:
    """Gathers the pieces of one answer, and gives them as one.

    Args:
        index: Which of the answers it is, ≥ 0.
        generation: What was asked.
    """

    __slots__ = (
        "_called",
        "_calls",
        "_finish_reason",
        "_generation",
        "_index",
        "_logprobs",
        "_new_reason",
        "_text",
    )

    def __init__(self, index: int, generation: Generation) -> None:
        self._index = index
        self._generation = generation
        self._text: list[str] = []
        self._calls: list[CallPiece] = []
        self._logprobs: list[bytes] = []
        self._called = False
        self._finish_reason: FinishReason | None = None
        self._new_reason: FinishReason | None = None

    @property
    def finished(self) -> bool:
        """Whether all words of the answer have arrived."""
        return self._finish_reason is not None

    def add(self, text: str) -> None:
        """Take words that do not end the answer."""
        if text:
            self._text.append(text)

    def take(self, choice: Choice) -> None:
        """Take what a chunk says about this answer.

        Raises:
            StreamBrokenError: When the backend gave the answer up.
            BackendProtocolError: When it ended in a way that is not understood.
        """
        delta = choice.delta
        if delta.content:
            self._text.append(delta.content)
        if delta.tool_calls:
            self._calls += delta.tool_calls
            self._called = True
        if choice.logprobs is not None:
            self._add_logprobs(bytes(choice.logprobs.content))
        if choice.finish_reason and self._finish_reason is None:
            self._new_reason = self._finish_reason = self._finish(choice.finish_reason)

    def give(self) -> Piece | None:
        """Hand out what has arrived since the last time; None: nothing."""
        text = self._text
        if not (text or self._new_reason or self._calls or self._logprobs):
            return None
        piece = Piece(
            text=text[0] if len(text) == 1 else "".join(text),
            finish_reason=self._new_reason,
            choice=self._index,
        )
        text.clear()
        self._new_reason = None
        if self._calls:
            piece.tool_calls = joined_calls(self._calls)
            self._calls.clear()
        if self._logprobs:
            piece.logprobs = b"[" + b",".join(self._logprobs) + b"]"
            self._logprobs.clear()
        return piece

    def _add_logprobs(self, listing: bytes) -> None:
        if listing not in _NO_LIST:
            self._logprobs.append(listing[1:-1])

    def _finish(self, word: str) -> FinishReason:
        if word == "abort":
            raise StreamBrokenError(
                "the backend gave the answer up before it was finished; try again",
                metadata={"revision": self._generation.revision},
                retry_after_s=RETRY_AFTER_S,
            )
        return finish_of(word, self._generation, called=self._called)


def finish_of(word: str, generation: Generation, *, called: bool) -> FinishReason:
    """Say why an answer ended.

    Args:
        word: The backend's `finish_reason`.
        generation: What was asked.
        called: The answer held calls. vLLM says `stop` where the caller named the function.

    Raises:
        BackendProtocolError: When the word is not known, or speaks of tools nobody offered: the
            text may not be whole then, and must not pass as such.
    """
    reason = finish_reason_of(word)
    offered = bool(generation.shape.tools)
    if reason is None or (reason is FinishReason.TOOL_CALLS and not offered):
        tools = ", length or tool_calls" if offered else " or length: no tools were offered to it"
        raise BackendProtocolError(
            f"the backend ended the answer with finish_reason {word[:32]!r}; expected stop,"
            f" content_filter{tools}"
        )
    return FinishReason.TOOL_CALLS if called and reason is FinishReason.STOP else reason


def joined_calls(pieces: list[CallPiece]) -> tuple[ToolCallDelta, ...]:
    """Join what belongs to the same call, in the order of the calls' first pieces."""
    if len(pieces) == 1:
        return (_delta([pieces[0]]),)
    by_index: dict[int, list[CallPiece]] = {}
    for piece in pieces:
        by_index.setdefault(piece.index, []).append(piece)
    return tuple(_delta(of_one) for of_one in by_index.values())


def _delta(pieces: list[CallPiece]) -> ToolCallDelta:
    return ToolCallDelta(
        index=pieces[0].index,
        id=next((piece.id for piece in pieces if piece.id), ""),
        name=next((piece.function.name for piece in pieces if piece.function.name), ""),
        arguments="".join([piece.function.arguments or "" for piece in pieces]),
    )
