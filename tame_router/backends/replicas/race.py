"""Two replicas on the way to the first word of one answer: the first that gives one writes on.

The other is closed at once, which tells it to stop generating. Who the second is, and whether there
is one, is asked of the pool when the first is late.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from tame_router.backends.backend import Generation
from tame_router.backends.openai.chat_stream import ChatStream
from tame_router.backends.replicas.choice import Ask
from tame_router.backends.replicas.failure import Failure, failure_of
from tame_router.backends.replicas.hedge import HedgeOutcome
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.roster import either
from tame_router.errors import TameError


class Seconds(Protocol):
    """What a race asks of the replicas' pool."""

    def second(self, ask: Ask, first: Replica, tried: Mapping[Replica, Failure]) -> Replica | None:
        """Choose the second replica for an answer, or tell the witness why there is none."""

    def hedged(self, outcome: HedgeOutcome) -> None:
        """Take note of what became of an answer for which a second was chosen."""

    def heard(self, replica: Replica, ask: Ask, first_s: float, *, at_least: bool = False) -> None:
        """Take note how long a replica's first words took, or had taken when it was left."""


class Attempt:
    """One replica's way to the first word of an answer.

    Args:
        replica: The replica.
        generation: What it is asked.
        ask: The same, for its load.
        now: When it is asked.

    Attributes:
        replica: As above.
        ask: As above.
        begun_at: When it was asked.
        warm: It should have the adapter on its device.
        spoke: It has given a word, or has ended without one.
        error: Why it did not.
        stream: Its stream, from which the word is still to be read.
    """

    __slots__ = ("_generation", "ask", "begun_at", "error", "replica", "spoke", "stream", "warm")

    def __init__(self, replica: Replica, generation: Generation, ask: Ask, now: float) -> None:
        self._generation = generation
        self.replica = replica
        self.ask = ask
        self.begun_at = now
        self.warm = replica.standing.resident(ask.revision)
        self.spoke = False
        self.error: TameError | None = None
        self.stream: ChatStream | None = None

    async def start(self) -> None:
        """Begin the answer.

        Raises:
            BackendError: When the replica does not.
            InvalidRequestError: When it finds the request at fault.
        """
        self.stream = await self.replica.start(self._generation, self.ask.tokens)

    async def run(self, news: asyncio.Event) -> None:
        """Wait for its first word, and set the event; cancelled, it closes its connection."""
        try:
            await self.start()
            if self.stream is not None:
                await self.stream.begin()
            self.spoke = True
        except TameError as error:
            self.error = error
        finally:
            if not self.spoke:
                self.close()
            news.set()

    def close(self) -> None:
        """Let go of the replica; one that is still writing is told by it."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
            self.replica.end(self.ask.tokens, self.ask.revision)


Left = Callable[[Replica, TameError], None]
"""Takes note of a replica that failed while the other goes on."""


class Race:
    """The first replica of an answer, and where it is late a second.

    Args:
        pool: Gives the second, and hears what became of it.
        first: The first one's attempt.
        again: Gives what the second is asked, as little of the caller's own time may be left.
        left: Hears of one that failed while the other is still to come.
    """

    __slots__ = ("_again", "_attempts", "_left", "_news", "_pool")

    def __init__(
        self, pool: Seconds, first: Attempt, again: Callable[[], Generation], left: Left
    ) -> None:
        self._pool = pool
        self._attempts = [first]
        self._again = again
        self._left = left
        self._news = asyncio.Event()

    async def run(self, after_s: float, tried: Mapping[Replica, Failure]) -> Attempt:
        """Wait for the first word.

        Args:
            after_s: How long the first alone is waited for.
            tried: Those that are not asked.

        Returns:
            The one that gave it, or has the error; the other is closed.
        """
        first, outcome = self._attempts[0], HedgeOutcome.LEFT
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(first.run(self._news))]
                await either(self._news, first.begun_at + after_s)
                if not self._news.is_set() and self._take_second(tried):
                    tasks.append(group.create_task(self._attempts[1].run(self._news)))
                over = await self._over()
                for task in tasks:
                    task.cancel()
            outcome = self._outcome(over)
        except BaseException:
            self._close(None)
            raise
        finally:
            if len(self._attempts) > 1:
                self._pool.hedged(outcome)
        self._close(over)
        if over is not first and over.spoke and first.error is None and first.warm:
            waited_s = asyncio.get_running_loop().time() - first.begun_at
            self._pool.heard(first.replica, first.ask, waited_s, at_least=True)
        return over

    def _take_second(self, tried: Mapping[Replica, Failure]) -> bool:
        first = self._attempts[0]
        replica = self._pool.second(first.ask, first.replica, tried)
        if replica is None:
            return False
        now = asyncio.get_running_loop().time()
        self._attempts.append(Attempt(replica, self._again(), first.ask, now))
        return True

    async def _over(self) -> Attempt:
        """Wait until one has given a word, or none will."""
        failed: list[Attempt] = []
        while True:
            await self._news.wait()
            self._news.clear()
            winner = next((one for one in self._attempts if one.spoke), None)
            for one in self._attempts:
                if one.error is None or one in failed:
                    continue
                failed.append(one)
                alone = winner is None and len(failed) == len(self._attempts)
                if alone or (winner is None and self._settles(one, one.error)):
                    return one
                self._left(one.replica, one.error)
            if winner is not None:
                return winner

    def _settles(self, one: Attempt, error: TameError) -> bool:
        """Tell whether an error ends the answer: another replica would do no better.

        That counts from the first alone. Nothing is worse for having asked the second.
        """
        return one is self._attempts[0] and failure_of(error, begun=False) is None

    def _outcome(self, over: Attempt) -> HedgeOutcome:
        if over.error is not None:
            theirs = failure_of(over.error, begun=False) is not None
            return HedgeOutcome.NEITHER if theirs else HedgeOutcome.LEFT
        return HedgeOutcome.FIRST if over is self._attempts[0] else HedgeOutcome.SECOND

    def _close(self, winner: Attempt | None) -> None:
        for one in self._attempts:
            if one is not winner:
                one.close()
