"""A streamed chat completion, from bytes to pieces; no socket, no clock.

What one read brought becomes one piece. An error that follows text in the same read waits
until that text has been handed out, so that nothing that arrived is lost.
"""

from tame_router.backends.backend import Generation, Piece
from tame_router.backends.openai_wire import (
    DONE,
    Chunk,
    decode_chunk,
    error_info,
    finish_reason_of,
)
from tame_router.backends.refusal import RETRY_AFTER_S, stream_refusal
from tame_router.backends.sse import SseDecoder
from tame_router.chat import FinishReason, Usage
from tame_router.errors import BackendProtocolError, StreamBrokenError, TameError


class ChatDecoder:
    """Reads one answer.

    Args:
        generation: What was asked, for messages.

    Attributes:
        done: The stream said that nothing follows.
        failure: What went wrong, to be raised once the piece that came with it is handed out.
    """

    __slots__ = ("_finish_reason", "_generation", "_sse", "_text", "_usage", "done", "failure")

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._sse = SseDecoder()
        self._finish_reason: FinishReason | None = None
        self._text: list[str] = []
        self._usage: Usage | None = None
        self.done = False
        self.failure: TameError | None = None

    @property
    def finished(self) -> bool:
        """Whether all words of the answer have arrived."""
        return self._finish_reason is not None

    def feed(self, data: bytes) -> Piece | None:
        """Take what one read brought; None when it brought nothing of the answer.

        Does not raise: what is wrong with the data is left in `failure`.
        """
        finished = self._finish_reason
        self._usage = None
        self._text.clear()
        try:
            for payload in self._sse.feed(data):
                if payload == DONE:
                    self._end()
                    break
                self._take(decode_chunk(payload))
        except TameError as error:
            self.failure = error
        text = "".join(self._text)
        reason = None if finished else self._finish_reason
        if text or reason or self._usage:
            return Piece(text=text, finish_reason=reason, usage=self._usage)
        return None

    def end(self) -> None:
        """Take note that the connection ended.

        An answer whose finish arrived is whole, even where the closing mark is missing.
        """
        if self._finish_reason is None:
            self.failure = StreamBrokenError(
                "the backend closed the stream before the answer was finished; try again",
                metadata={"revision": self._generation.revision},
                retry_after_s=RETRY_AFTER_S,
            )
        self.done = True

    def _end(self) -> None:
        self.done = True
        if self._finish_reason is None:
            raise BackendProtocolError(
                "the backend ended the stream without a finish_reason; expected stop, length or"
                " content_filter before [DONE]"
            )

    def _take(self, chunk: Chunk) -> None:
        if chunk.error is not None:
            raise stream_refusal(error_info(chunk.error)).error(
                self._generation.revision, self._generation.messages
            )
        if chunk.choices:
            choice = chunk.choices[0]
            if choice.delta.content:
                self._text.append(choice.delta.content)
            if choice.finish_reason:
                self._finish_reason = self._finish(choice.finish_reason)
        if chunk.usage is not None:
            self._usage = Usage(
                prompt_tokens=chunk.usage.prompt_tokens,
                completion_tokens=chunk.usage.completion_tokens or 0,
            )

    def _finish(self, word: str) -> FinishReason:
        if word == "abort":
            raise StreamBrokenError(
                "the backend gave the answer up before it was finished; try again",
                metadata={"revision": self._generation.revision},
                retry_after_s=RETRY_AFTER_S,
            )
        reason = finish_reason_of(word)
        if reason is None:
            # An unknown word may mean that the text is not whole: say so, don't pass it as such.
            raise BackendProtocolError(
                f"the backend ended the answer with finish_reason {word[:32]!r}; expected stop,"
                " length or content_filter: this router asks for plain text only"
            )
        return reason
