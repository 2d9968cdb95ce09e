"""The pieces of one answer, read from a socket when they are asked for."""

import asyncio
import contextlib
from typing import Final

from tame_router.backends.backend import Generation, Piece
from tame_router.backends.chat_decoder import ChatDecoder
from tame_router.backends.http_client import HttpStream
from tame_router.backends.patience import Patience
from tame_router.errors import StreamBrokenError

_LAST_BYTES_S: Final = 0.25
"""How long the end of the body is waited for after the end of the answer: without it the
connection cannot be used again."""

_LAST_READS: Final = 8


class ChatStream:
    """An asynchronous iterator over pieces; everything that one read brought is one piece.

    Args:
        source: Where bytes come from; whoever opened it closes it.
        generation: What was asked.
        patience: How long words are waited for. Comments and empty events are no words.
    """

    __slots__ = ("_decoder", "_last_words", "_over", "_patience", "_source", "_time")

    def __init__(self, source: HttpStream, generation: Generation, patience: Patience) -> None:
        self._source = source
        self._decoder = ChatDecoder(generation)
        self._patience = patience
        self._last_words: float | None = None
        self._over = False
        self._time = asyncio.get_running_loop().time

    def __aiter__(self) -> "ChatStream":
        """Give itself: an answer is read once."""
        return self

    async def __anext__(self) -> Piece:
        """Wait for the next piece.

        Raises:
            BackendError: When the answer cannot be finished, or its time is up.
        """
        decoder = self._decoder
        while decoder.failure is None:
            if decoder.done:
                await self._finish()
                raise StopAsyncIteration
            data = await self._read()
            if data:
                piece = decoder.feed(data)
                if piece is not None:
                    self._last_words = self._time()
                    return piece
            else:
                decoder.end()
        raise decoder.failure

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._patience.until(self._last_words)):
                return await self._source.read()
        except TimeoutError:
            raise self._patience.error(self._last_words) from None
        except StreamBrokenError:
            if self._decoder.finished:
                return b""
            raise

    async def _finish(self) -> None:
        """Read the body to its end, so that the connection goes back to the pool."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(TimeoutError, StreamBrokenError):
            async with asyncio.timeout(_LAST_BYTES_S):
                for _ in range(_LAST_READS):
                    if not await self._source.read():
                        return
