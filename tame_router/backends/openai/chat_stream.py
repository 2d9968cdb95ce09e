"""The pieces of one answer, read from a socket when they are asked for."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final

from tame_router.backends.backend import Generation, Piece
from tame_router.backends.openai.chat_decoder import ChatDecoder
from tame_router.backends.openai.http_client import HttpStream
from tame_router.backends.openai.json_strings import JsonStrings
from tame_router.backends.patience import Patience
from tame_router.chat import Format
from tame_router.errors import StreamBrokenError, TameError

LAST_BYTES_S: Final = 0.25
"""How long the end of the body is waited for after the end of the answer: without it the
connection cannot be used again."""

_LAST_READS: Final = 8
_TICK_S: Final = 0.001


class ChatStream:
    """An asynchronous iterator over pieces; everything that one read brought is one piece.

    Where several answers were asked for, it is one piece for each of them.

    One timer watches the whole answer: a timeout around every read would cost more than the
    read. It counts only the time spent waiting here, not the time the reader takes for a piece.

    Args:
        source: Where bytes come from; closed by `close`.
        generation: What was asked.
        patience: How long words are waited for. Comments and empty events are no words.
    """

    __slots__ = (
        "_decoder",
        "_json",
        "_loop",
        "_patience",
        "_pieces",
        "_plain",
        "_several",
        "_silent_since",
        "_source",
        "_spoke",
        "_timer",
        "_too_late",
    )

    def __init__(self, source: HttpStream, generation: Generation, patience: Patience) -> None:
        self._source = source
        self._decoder = ChatDecoder(generation)
        self._json: defaultdict[int, JsonStrings] | None = None
        form = generation.shape.response_format
        if form is not None and form.format is not Format.TEXT:
            self._json = defaultdict(JsonStrings)
        self._patience = patience
        self._pieces: deque[Piece] = deque()
        self._loop = asyncio.get_running_loop()
        self._spoke = False
        self._several = generation.shape.choices > 1
        self._plain = False  # what a read brings is handed on as it is
        self._silent_since: float | None = None
        self._too_late: TameError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watch(patience.until(None))

    def __aiter__(self) -> "ChatStream":
        """Give itself: an answer is read once."""
        return self

    async def __anext__(self) -> Piece:
        """Wait for the next piece.

        Raises:
            BackendError: When the answer cannot be finished, or its time is up.
        """
        if self._pieces:
            return self._pieces.popleft()
        decoder = self._decoder
        self._silent_since = self._loop.time()
        while decoder.failure is None:
            if decoder.done:
                await self._finish()
                raise StopAsyncIteration
            try:
                data = await self._source.read()
            except StreamBrokenError as error:
                data = self._broken(error)
            if not data:
                decoder.end()
                continue
            pieces = decoder.feed(data)
            if pieces:
                self._silent_since = None
                if not self._plain:
                    self._heed(pieces)
                return pieces[0]
        raise decoder.failure

    def close(self) -> None:
        """Stop watching and let the connection go: closed at once if the answer is not over."""
        self._unwatch()
        self._source.close()

    def _broken(self, error: StreamBrokenError) -> bytes:
        """Give the end of a body that broke off, where the words are all there; else raise."""
        if self._too_late is not None:
            raise self._too_late from None
        if not self._decoder.finished:
            raise error
        return b""

    def _heed(self, pieces: Sequence[Piece]) -> None:
        """Look at the first pieces, and at all where they are to be JSON or there are several."""
        if self._json is not None:
            for piece in pieces:
                piece.text = self._json[piece.choice].feed(piece.text)
        if not self._spoke:
            self._spoke = True
            self._watch(self._patience.until(self._loop.time()))
        self._pieces.extend(pieces[1:])
        self._plain = self._json is None and not self._several

    def _watch(self, until: float) -> None:
        self._unwatch()
        self._timer = self._loop.call_at(until, self._check)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Give up where the wait was too long, else look again when it may be."""
        now = self._loop.time()
        silent_since = now if self._silent_since is None else self._silent_since
        until = self._patience.until(silent_since if self._spoke else None)
        # A timer may ring a clock tick early.
        if now + _TICK_S < until:
            self._watch(until)
            return
        self._timer = None
        self._too_late = self._patience.error(silent_since if self._spoke else None)
        self._source.abort()  # somebody may still hold this stream, so nobody else gets it

    async def _finish(self) -> None:
        """Read the body to its end, so that the connection goes back to the pool."""
        self._unwatch()
        with contextlib.suppress(TimeoutError, StreamBrokenError):
            async with asyncio.timeout(LAST_BYTES_S):
                for _ in range(_LAST_READS):
                    if not await self._source.read():
                        return
