"""One answer over as many replicas as it takes: an asynchronous iterator over its pieces.

Before the first words another replica begins anew; after them another goes on from there,
where that can be done soundly. What reads the pieces sees one text, one end, one usage.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

from msgspec.structs import replace

from tame_router.backends.backend import Generation, Piece, Take
from tame_router.backends.openai.chat_stream import ChatStream
from tame_router.backends.replicas.choice import Ask
from tame_router.backends.replicas.delivered import Delivered, continuable
from tame_router.backends.replicas.failure import Failure, failure_of
from tame_router.backends.replicas.race import Attempt, Race
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.replicas import Replicas
from tame_router.chat import FinishReason
from tame_router.errors import ContextTooLongError, InvalidRequestError, TameError

_FAIR_SHARE: Final = 0.25
_SHORTEST_S: Final = 0.001


class ReplicaStream:
    """The pieces of one answer.

    Args:
        pool: Finds replicas.
        generation: What is asked.
    """

    def __init__(self, pool: Replicas, generation: Generation) -> None:
        self._pool = pool
        self._generation = generation
        self._ask = Ask.of(generation)
        self._delivered = Delivered(generation) if continuable(generation) else None
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()
        self._replica: Replica | None = None
        self._stream: ChatStream | None = None
        self._take: Take | None = None
        self._tried: dict[Replica, Failure] = {}
        self._failovers = 0
        self._given = False  # words have been handed out
        self._heard = False  # words have come from this replica
        self._asked_at: float | None = None  # this replica; None: it loads the adapter first
        self._over = False

    def __aiter__(self) -> "ReplicaStream":
        """Give itself: an answer is read once."""
        return self

    async def __anext__(self) -> Piece:
        """Wait for the next piece.

        Raises:
            BackendError: When no replica can finish the answer, or its time is up.
        """
        while self._stream is not None:
            try:
                piece = await self._stream.__anext__()
            except StopAsyncIteration:
                return self._finish()
            except TameError as error:
                shown = await self._go_on(error)
            else:
                if not self._heard:
                    self._hear()
                shown = self._show(piece)
            if shown is not None:
                if not self._given:
                    self._given = bool(shown.text or shown.tool_calls or shown.logprobs)
                return shown
        return self._finish()

    def divert(self, take: Take) -> None:
        """Give words away as they arrive, from whichever replica; see `Divertible`."""
        self._take = take
        if self._stream is not None:
            self._stream.divert(self._pass)

    async def start(self) -> None:
        """Find the replica that begins the answer.

        Raises:
            BackendError: When none does.
            InvalidRequestError: When the request is at fault.
        """
        self._pool.budget.earn()
        await self._place(None)

    def close(self) -> None:
        """Let go of the replica; one that is still writing is told by it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._replica is not None:
            self._replica.end(self._ask.tokens, self._ask.revision)
            self._replica = None

    def _pass(self, piece: Piece) -> Awaitable[None] | None:
        """Give words away; None: not so, for a stop string may begin in them."""
        if self._take is None or not (self._delivered is None or self._delivered.passes(piece)):
            return None
        if not self._heard:
            self._hear()
        return self._take(piece)

    def _show(self, piece: Piece) -> Piece | None:
        """Give what is handed out of a piece."""
        if self._delivered is None:
            if piece.usage is not None and self._failovers:
                piece.usage = replace(piece.usage, failovers=self._failovers)
            return piece
        delivered = self._delivered
        shown = delivered.take(piece)
        if delivered.stopped:
            self._succeed()
            self.close()  # it knows nothing of stop strings, and would write on
        return shown

    def _hear(self) -> None:
        """Take note of this replica's first words."""
        self._heard = True
        if self._replica is not None and self._asked_at is not None:
            self._pool.heard(self._replica, self._ask, self._loop.time() - self._asked_at)

    def _finish(self) -> Piece:
        """Tell the tokens, once, and then that it is over."""
        self._succeed()
        self.close()
        if self._delivered is None or self._over:
            raise StopAsyncIteration
        self._over = True
        usage = self._delivered.usage
        return Piece(usage=replace(usage, failovers=self._failovers))

    def _succeed(self) -> None:
        if self._replica is not None:
            self._replica.succeeded(self._generation.revision)

    async def _go_on(self, error: TameError) -> Piece | None:
        """Go on elsewhere after a replica failed; give what ends the answer where it has to."""
        delivered = self._delivered
        if delivered is not None and delivered.done:
            self.close()  # the words are all there
            return None
        if delivered is not None and delivered.full:
            self._release(error)
            return delivered.close(FinishReason.LENGTH)
        try:
            await self._place(error)
        except ContextTooLongError:
            if delivered is None or not self._given:
                raise
            # What was written fills the context, where the first replica would have ended too.
            self.close()
            return delivered.close(FinishReason.LENGTH)
        return None

    async def _place(self, error: TameError | None) -> None:
        """Find a replica that begins, or goes on.

        Args:
            error: Why the one so far does not; None: there was none.
        """
        while True:
            failure = None if error is None else self._give_up(error)
            replica = await self._pool.find(
                self._ask, self._tried, error, self._until(), self._generation.deadline
            )
            if error is not None and failure is not None:
                self._pay(error, failure)
            self._heard = False
            try:
                begun = await self._begin(replica)
            except TameError as failed:
                error = self._meant(failed, error)
                continue
            self._replica, self._stream = begun.replica, begun.stream
            self._asked_at = begun.begun_at if begun.warm else None
            if begun.spoke:
                self._hear()
            if self._take is not None and self._stream is not None:
                self._stream.divert(self._pass)
            return

    async def _begin(self, replica: Replica) -> Attempt:
        """Have a replica begin, or where its first word is late the sooner of two."""
        attempt = Attempt(replica, self._request(), self._ask, self._loop.time())
        after_s = None
        if not self._tried and not self._given:
            after_s = self._pool.hedge_after_s(self._generation, self._ask)
        if after_s is None:
            try:
                await attempt.start()
            except TameError as error:
                self._leave(replica, error)
                raise
            return attempt
        race = Race(self._pool, attempt, lambda: self._request(late=True), self._leave)
        attempt = await race.run(after_s, self._tried)
        if attempt.error is not None:
            self._leave(attempt.replica, attempt.error)
            raise attempt.error
        return attempt

    def _meant(self, failed: TameError, before: TameError | None) -> TameError:
        """Give the error that the caller is told: what it asked was right when it began."""
        wrong = isinstance(failed, InvalidRequestError) and not isinstance(
            failed, ContextTooLongError
        )
        if self._given and before is not None and wrong:
            raise before from failed
        return failed

    def _give_up(self, error: TameError) -> Failure:
        """Leave a replica after an error; raise it where no other would do better, or may."""
        self._release(error)
        failure = failure_of(error, begun=self._heard)
        spent = self._failovers >= self._pool.most_failovers
        if failure is None or spent or self._generation.aside:
            raise error
        hopeless = self._delivered is None if self._given else self._late()
        if hopeless:
            raise error
        return failure

    def _pay(self, error: TameError, failure: Failure) -> None:
        """Pay for another try, or raise the error; an answer that has begun goes on for free."""
        if not self._given and not self._pool.budget.spend():
            error.metadata["retry_budget"] = "spent"
            raise error
        self._failovers += 1
        self._pool.moved(failure, begun=self._given)

    def _release(self, error: TameError) -> None:
        replica = self._replica
        self.close()
        if replica is not None:
            self._leave(replica, error)

    def _leave(self, replica: Replica, error: TameError) -> None:
        failure = failure_of(error, begun=self._heard)
        if failure is not None and not self._generation.aside:
            self._tried[replica] = failure
            self._pool.failed(replica, failure, error, self._generation.revision)

    def _request(self, *, late: bool = False) -> Generation:
        """Give what the next replica is asked; late: another is asked already."""
        asked = self._generation if self._delivered is None else self._delivered.request()
        left_s = self._left_s()
        if self._given:
            return replace(asked, begin_by=None)  # it has begun
        if left_s is None or not (self._tried or late):
            return asked
        return replace(asked, first_token_timeout_s=max(left_s, _SHORTEST_S))

    def _left_s(self) -> float | None:
        """Give what is left of the caller's own limit on the first token; None: it has none.

        It is on the wait for that token, wherever it comes from.
        """
        limit_s = self._generation.first_token_timeout_s
        return None if limit_s is None else self._begun_at + limit_s - self._loop.time()

    def _late(self) -> bool:
        """Tell whether too little of that is left for another replica to have a fair try."""
        left_s, limit_s = self._left_s(), self._generation.first_token_timeout_s
        return left_s is not None and limit_s is not None and left_s < _FAIR_SHARE * limit_s

    def _until(self) -> float | None:
        """Tell until when a replica is waited for; None: not at all."""
        if not self._given:
            return None
        return self._loop.time() + self._pool.resume_wait_s
