"""A streamed chat completion, from bytes to pieces; no socket, no clock.

What one read brought becomes one piece for each of the answers it was about. An error that
follows words in the same read waits until those have been handed out, so that nothing that
arrived is lost.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation, Piece
from tame_router.backends.openai.chat_choice import ChatChoice
from tame_router.backends.openai.refusal import stream_refusal
from tame_router.backends.openai.sse import SseDecoder
from tame_router.backends.openai.wire import (
    DONE,
    Chunk,
    TokenCounts,
    decode_chunk,
    decode_plain,
    error_info,
)
from tame_router.chat import Usage
from tame_router.errors import BackendProtocolError, StreamBrokenError, TameError

_LAST_EVENTS: Final = 3
"""Events at the end of an answer that are not plain: its finish, its usage, and `[DONE]`."""

_MANY: Final = 8
"""So many events of one read are cheaper read in one go."""


class ChatDecoder:
    """Reads one answer, or the several that were asked for at once.

    Args:
        generation: What was asked.

    Attributes:
        done: The stream said that nothing follows.
        failure: What went wrong, to be raised once the pieces that came with it are handed out.
    """

    __slots__ = (
        "_chars",
        "_choices",
        "_counted",
        "_first",
        "_generation",
        "_marks",
        "_plain",
        "_several",
        "_sse",
        "_told",
        "_usage",
        "done",
        "failure",
    )

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._sse = SseDecoder()
        self._first = ChatChoice(0, generation)
        self._choices = [self._first]
        self._choices += [ChatChoice(n, generation) for n in range(1, generation.shape.choices)]
        self._several = len(self._choices) > 1
        self._counted = generation.counted
        self._plain = self._counted and not self._several
        self._chars = 0
        self._marks: list[tuple[int, int]] = []
        self._usage: TokenCounts | None = None
        self._told = False
        self.done = False
        self.failure: TameError | None = None

    @property
    def finished(self) -> bool:
        """Whether all words of all answers have arrived."""
        return all(choice.finished for choice in self._choices)

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Take what one read brought; empty when it brought nothing of an answer.

        Does not raise: what is wrong with the data is left in `failure`.
        """
        self._usage = None
        try:
            payloads = self._sse.feed(data)
            if self._plain and len(payloads) >= _MANY:
                payloads = self._take_plain(payloads)
            for payload in payloads:
                if payload == DONE:
                    self._end()
                    break
                self._take(decode_chunk(payload))
        except TameError as error:
            self.failure = error
        if self._several or (self._usage is not None and not self._counted):
            return self._give()
        # Nearly every read of nearly every answer: not a step more than it takes.
        piece = self._first.give()
        if self._marks:
            return self._give_counted(piece)
        return (piece,) if piece is not None else ()

    def _give(self) -> Sequence[Piece]:
        pieces = [piece for choice in self._choices if (piece := choice.give())]
        if self._usage is not None:
            pieces = pieces or [Piece()]
            pieces[-1].usage = _usage(self._usage)
        return pieces

    def _give_counted(self, piece: Piece | None) -> Sequence[Piece]:
        """Tell the tokens so far with what they are of: an event without words is none."""
        if piece is None:
            if not self._first.finished:
                return ()
            piece = Piece()
        if self._usage is not None and (not self._told or self._first.finished):
            piece.usage = _usage(self._usage)
            self._told = True
        piece.marks, self._marks = self._marks, []
        return (piece,)

    def end(self) -> None:
        """Take note that the connection ended.

        An answer whose finish arrived is whole, even where the closing mark is missing.
        """
        if not self.finished:
            self.failure = StreamBrokenError(
                "the backend closed the stream before the answer was finished; try again",
                metadata={"revision": self._generation.revision},
                retry_after_s=RETRY_AFTER_S,
            )
        self.done = True

    def _end(self) -> None:
        self.done = True
        if not self.finished:
            raise BackendProtocolError(
                "the backend ended the stream without a finish_reason; expected stop, length,"
                " content_filter or tool_calls of every answer before [DONE]"
            )

    def _take_plain(self, payloads: list[bytes]) -> list[bytes]:
        """Take those that bring words and counts only, if it is as usual; give the rest."""
        plain = payloads[:-_LAST_EVENTS] if payloads[-1] == DONE else payloads
        chunks = decode_plain(plain)
        if not chunks:
            return payloads
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks]
        counts = [chunk.usage.completion_tokens or 0 for chunk in chunks]
        chars = accumulate(map(len, texts), initial=self._chars)
        next(chars)  # of before
        self._marks += zip(chars, counts, strict=True)
        self._chars = self._marks[-1][0]
        self._first.add("".join(texts))
        self._usage = chunks[-1].usage
        return payloads[len(chunks) :]

    def _take(self, chunk: Chunk) -> None:
        if chunk.error is not None:
            asked = self._generation
            raise stream_refusal(error_info(chunk.error)).error(
                asked.revision, asked.messages, asked.shape
            )
        chars = 0
        for choice in chunk.choices:
            if not choice.index:
                self._first.take(choice)
            elif 0 < choice.index < len(self._choices):
                self._choices[choice.index].take(choice)
            else:
                raise BackendProtocolError(
                    f"the backend sent a piece of answer {choice.index};"
                    f" {len(self._choices)} were asked for, counted from 0"
                )
            if choice.delta.content:
                chars += len(choice.delta.content)
        if chunk.usage is not None:
            self._usage = chunk.usage
            if self._counted:
                # After how many characters there are how many tokens.
                self._chars += chars
                self._marks.append((self._chars, chunk.usage.completion_tokens or 0))


def _usage(counts: TokenCounts) -> Usage:
    return Usage(
        prompt_tokens=counts.prompt_tokens, completion_tokens=counts.completion_tokens or 0
    )
