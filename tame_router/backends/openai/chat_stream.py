"""The pieces of one answer, read from a socket when they are asked for."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tame_router.backends.backend import TAKEN, Generation, Piece
from tame_router.backends.openai.chat_decoder import ChatDecoder
from tame_router.backends.openai.http_stream import HttpStream
from tame_router.backends.openai.json_strings import JsonStrings
from tame_router.backends.patience import Patience
from tame_router.backends.standstill import GRACE_S, stood_still
from tame_router.chat import Format
from tame_router.errors import StreamBrokenError, TameError

LAST_BYTES_S: Final = 0.25
"""How long the end of the body is waited for after the end of the answer: without it the
connection cannot be used again."""

_LAST_READS: Final = 8
_TICK_S: Final = 0.001


DivertedTake = Callable[[Piece], Awaitable[None] | None]
"""Takes a piece as it arrives, as a `Take` does; None: it cannot, and has done nothing."""


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
        "_fault",
        "_json",
        "_loop",
        "_patience",
        "_pieces",
        "_plain",
        "_rings_at",
        "_several",
        "_silent_since",
        "_source",
        "_spoke",
        "_take",
        "_timer",
        "_too_late",
        "_untaken",
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
        self._fault: BaseException | None = None  # to be raised behind those
        self._take: DivertedTake | None = None
        self._untaken: Awaitable[None] | None = None  # given away, and there was no room for it
        self._loop = asyncio.get_running_loop()
        self._spoke = False
        self._several = generation.shape.choices > 1
        self._plain = False  # what a read brings is handed on as it is
        self._silent_since: float | None = None
        self._too_late: TameError | None = None
        self._rings_at = 0.0  # uvloop's timer cannot tell it where it is due already
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
        self._silent_since = self._loop.time()
        while not self._pieces:
            if self._untaken is not None:
                await self._wait_for_taker(self._untaken)
            elif self._fault is not None:
                raise self._fault
            elif self._decoder.done:
                await self._finish()
                raise StopAsyncIteration
            elif (data := self._body()) is None:
                await self._source.more()
            else:
                self._feed(data)
        self._silent_since = None
        return self._pieces.popleft()

    def divert(self, take: DivertedTake) -> None:
        """Give words away as they arrive; see `Divertible`.

        Args:
            take: None: it cannot take the piece, and has done nothing; it is read as ever.
        """
        self._take = take
        if self._plain:
            self._source.when_arrived(self._arrived)

    async def begin(self) -> None:
        """Wait for the first piece; it is read as if nobody had waited for it.

        Raises:
            BackendError: When it does not come.
        """
        with contextlib.suppress(StopAsyncIteration):
            self._pieces.appendleft(await self.__anext__())

    def close(self) -> None:
        """Stop watching and let the connection go: closed at once if the answer is not over."""
        self._unwatch()
        self._source.close()

    def _body(self) -> bytes | None:
        """Give what has arrived; a body that breaks off ends, where the words are all there."""
        try:
            return self._source.take()
        except StreamBrokenError:
            if self._too_late is not None:
                raise self._too_late from None
            if not self._decoder.finished:
                raise
            return b""

    def _feed(self, data: bytes) -> None:
        """Make pieces of what has arrived."""
        if not data:
            self._decoder.end()
        elif pieces := self._decoder.feed(data):
            if not self._plain:
                self._heed(pieces)
            self._pieces.extend(pieces)
        self._fault = self._decoder.failure

    def _arrived(self, data: bytes) -> bool:
        """Give away what has arrived; False: whoever waits for a piece has to look."""
        pieces = self._decoder.feed(data)
        self._fault = self._decoder.failure
        taken: Awaitable[None] | None = None
        for piece in pieces:  # one, for the answer is plain
            if piece.finish_reason is None and piece.usage is None and self._take is not None:
                try:
                    taken = self._take(piece)
                except BaseException as error:  # for whoever reads: it would end the connection
                    self._fault = error
                    return False
            if taken is None:
                self._pieces.append(piece)
                return False
            self._silent_since = self._loop.time()
        self._untaken = None if taken is TAKEN else taken
        return self._untaken is None and self._fault is None and not self._decoder.done

    async def _wait_for_taker(self, untaken: Awaitable[None]) -> None:
        """Wait until there is room for what was given away; that is no silence of the backend."""
        self._silent_since = self._untaken = None
        await untaken
        self._silent_since = self._loop.time()

    def _heed(self, pieces: Sequence[Piece]) -> None:
        """Look at the first pieces, and at all where they are to be JSON or there are several."""
        if self._json is not None:
            for piece in pieces:
                piece.text = self._json[piece.choice].feed(piece.text)
        if not self._spoke:
            self._spoke = True
        self._plain = self._json is None and not self._several
        if self._plain and self._take is not None:
            self._source.when_arrived(self._arrived)

    def _watch(self, until: float) -> None:
        """Look again then, or when the first words may be too long ago, should they come now."""
        soon = self._loop.time() + self._patience.stall_timeout_s
        self._rings_at = min(until, soon)
        self._timer = self._loop.call_at(self._rings_at, self._check)

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
        if stood_still(self._rings_at, now):
            self._watch(now + GRACE_S)  # what came meanwhile is read first
            return
        self._timer = None
        self._too_late = self._patience.error(silent_since if self._spoke else None)
        self._source.abort()  # somebody may still hold this stream, so nobody else gets it

    async def _finish(self) -> None:
        """Read the body to its end, so that the connection goes back to the pool."""
        self._unwatch()
        with contextlib.suppress(TimeoutError, StreamBrokenError):
            if self._source.take() == b"":  # it came with the end of the answer
                return
            async with asyncio.timeout(LAST_BYTES_S):
                for _ in range(_LAST_READS):
                    if not await self._source.read():
                        return
