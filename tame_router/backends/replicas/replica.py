"""One replica of a backend: a vLLM server, its state, its breaker, its load."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.openai.chat_stream import ChatStream
from tame_router.backends.replicas.breaker import Breaker, BreakerRules, BreakerState
from tame_router.backends.replicas.departure import Departure
from tame_router.backends.replicas.failure import Failure, FailureKind, failure_of
from tame_router.backends.replicas.identity import OTHER_BASE_MODEL
from tame_router.backends.replicas.probe import probe
from tame_router.backends.replicas.residency import Residency
from tame_router.backends.replicas.standing import Standing
from tame_router.backends.replicas.state import ReplicaEvent, ReplicaState, next_state
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.backends.vllm.identity import ServerIdentity
from tame_router.errors import BackendUnavailableError, TameError
from tame_router.telemetry import log

MISSES: Final = 2
"""Health checks in a row that a replica may not pass: one alone may have been bad luck."""

PREPARE_S: Final = 60.0
"""Time to load one revision, unless the settings say otherwise."""

TOLD_S: Final = 15.0
"""How long the figures of `/metrics` are believed, unless the settings say otherwise."""


Admit = Callable[["Replica"], Awaitable[None]]
"""Holds a replica that has said what it is against the others, before it gets answers."""


class Replica:
    """One server of a pool.

    Args:
        spec: Where it is.
        rules: When its breaker opens.
        probe_timeout_s: Longest time that the one token of a probe may take.
        prepare_timeout_s: Longest time that it may take to load one revision.
        admit: Raises why it does not fit the others; None: nobody asks.

    Attributes:
        backend: Speaks to it.
        standing: Its load and adapters, for the choice.
        identity: What it said it is when it was last looked at before getting answers; None: it
            has not.
        looked: Set once it has said that, or did not for the first time.
        departure: Whether it leaves, and has left.
        adapters: Which revisions it is to have, and which it has shown to have.
        state: Whether it gets answers.
        why: Why it gets none, in a word that callers may see too; empty: it does.
        detail: The same in a sentence, for operators.
        checked_at: When it was last checked, on the event loop's clock.
    """

    def __init__(
        self,
        spec: VllmSpec,
        rules: BreakerRules,
        probe_timeout_s: float,
        prepare_timeout_s: float = PREPARE_S,
        admit: Admit | None = None,
    ) -> None:
        self.backend = VllmBackend(spec)
        self.standing = Standing(spec.base_url)
        self.identity: ServerIdentity | None = None
        self.looked = asyncio.Event()
        self.departure = Departure()
        self._residency = Residency(self.backend, self.standing)
        self.adapters = self._residency.adapters
        self.state = ReplicaState.STARTING
        self.why = "not_checked"
        self.detail = "it was not checked yet"
        self.checked_at = float("-inf")
        self._breaker = Breaker(rules)
        self._probe_timeout_s = probe_timeout_s
        self._prepare_timeout_s = prepare_timeout_s
        self._admit = admit
        self._misses = 0
        self._deaf = False
        self._checking = asyncio.Lock()

    @property
    def in_check(self) -> bool:
        """Whether it is being looked at."""
        return self._checking.locked()

    @property
    def probe_at(self) -> float:
        """When it may be probed, where it is ejected."""
        return self._breaker.probe_at

    async def start(self, generation: Generation, tokens: int) -> ChatStream:
        """Begin an answer; `end` must follow when it began, with the same values.

        Args:
            generation: What is asked.
            tokens: What it may come to.

        Raises:
            BackendError: When it does not begin.
            InvalidRequestError: When the server finds the request at fault.
        """
        self.standing.begin(tokens, generation.revision)
        self.departure.begin()
        try:
            return await self.backend.start(generation)
        except BaseException:
            self.end(tokens, generation.revision)
            raise

    def end(self, tokens: int, revision: str) -> None:
        """Take note that an answer ended, however it did."""
        self.standing.end(tokens, revision)
        self.departure.end()

    def succeeded(self, revision: str) -> None:
        """Take note of an answer that was finished here."""
        self._breaker.succeeded()
        self.standing.wrote(revision)

    def failed(self, failure: Failure, error: TameError, revision: str) -> None:
        """Take note of an answer that failed here."""
        now = _now()
        if failure.kind is FailureKind.NO_ADAPTER:
            self.standing.lacks(revision, now)
            self.adapters.refused(revision, now)
        elif failure.kind is FailureKind.BUSY:
            self.standing.busy(now + (error.retry_after_s or RETRY_AFTER_S))
        if not failure.counts:
            return
        self.standing.erred(now)
        if self._breaker.failed(now, decisive=failure.decisive):
            self._move(ReplicaEvent.TRIPPED, str(failure.kind), error.message)

    async def prepare(self, revision: str, deadline: float) -> None:
        """Have it load a revision and answer under its name.

        Args:
            revision: The revision; empty: the base model.
            deadline: Until when that is waited for, on the event loop's clock.

        Raises:
            TameError: When it does not; answers of that revision are asked of others then.
        """
        if self.departure.asked.is_set():
            raise BackendUnavailableError(f"the replica is {self.why}; ask the others")
        with self.departure.held_off():
            await self._residency.prepare(revision, deadline)

    def drain(self) -> None:
        """Give it no new answers, for good; it has left when those under way end."""
        self._move(ReplicaEvent.DRAIN, "draining", "it is taken out of service")
        self.departure.ask()

    async def close(self) -> None:
        """Close its connections; it must have left, or answers are cut."""
        async with self._checking:
            await self.backend.close()

    def hurry(self) -> None:
        """Let it be probed at once, where it is ejected: nobody else is left."""
        self._breaker.hurry(_now())

    async def check(self) -> None:
        """Look how it is: health, base model, and after an ejection one token.

        Before it gets answers it loads the revisions that it is to have.

        Several that ask at once share one look. Never raises `TameError`.
        """
        asked_at = _now()
        async with self._checking:
            if self.checked_at >= asked_at:
                return
            try:
                if self.state is ReplicaState.STARTING:
                    await self._check_start()
                elif self.state is ReplicaState.READY:
                    await self._check_health()
                elif self.state is ReplicaState.EJECTED:
                    await self._check_probe()
            finally:
                self.checked_at = _now()
                self.looked.set()

    async def scrape(self, told_s: float = TOLD_S) -> None:
        """Read what it tells of its load and its adapters; that it tells nothing is no harm.

        Where it is another process than before it gets no answers until a probe has passed.

        Args:
            told_s: How long that is believed.
        """
        with self.departure.held_off():
            try:
                metrics = await self.backend.metrics()
            except TameError as error:
                self._hear(error)
                return
        self._hear(None)
        async with self._checking:
            if not self._residency.reconcile(metrics, _now() + told_s):
                return
            if self.state is ReplicaState.READY:
                self._breaker.trip(_now())
                self._breaker.hurry(_now())
                self._move(ReplicaEvent.FAILED, "restarted", "it was started anew")

    async def _check_start(self) -> None:
        try:
            await self._identify()
            await self._residency.bring(self._prepare_timeout_s)
        except TameError as error:
            self._move(ReplicaEvent.FAILED, _word(error), error.message)
        else:
            self._move(ReplicaEvent.PASSED)

    async def _check_health(self) -> None:
        if await self.backend.ready():
            self._misses = 0
            with suppress(TameError):  # tried again by a later check
                await self._residency.bring(min(self._probe_timeout_s, self._prepare_timeout_s))
            return
        self._misses += 1
        self.adapters.forget()
        if self._misses >= MISSES:
            self._breaker.trip(_now())
            self._move(ReplicaEvent.FAILED, "unhealthy", "its /health does not answer with 200")

    async def _check_probe(self) -> None:
        if not self._breaker.may_probe(_now()):
            return
        passed = False
        try:
            await self._identify()
            await probe(self.backend, self._probe_timeout_s)
            await self._residency.bring(self._prepare_timeout_s)
            passed = True
        except TameError as error:
            self.why, self.detail = _word(error), error.message
        finally:  # a probe that was cancelled has not passed
            self._breaker.probed(_now(), passed=passed)
        if not passed:
            self._move(ReplicaEvent.FAILED, self.why, self.detail)
        elif self._breaker.state is BreakerState.CLOSED:
            self._misses = 0
            self._move(ReplicaEvent.PASSED)

    async def _identify(self) -> None:
        """Have it say what it is, and hold that against the others."""
        self.identity = await self.backend.check()
        self.looked.set()
        self._residency.begin(self.identity)
        if self._admit is not None:
            await self._admit(self)

    def _hear(self, error: TameError | None) -> None:
        """Tell, once, that it tells nothing of its load, or does so again."""
        if self._deaf is (error is not None):
            return
        self._deaf = error is not None
        because = error.message if error else "it tells its load again"
        log.event(logging.INFO, "replica.metrics", replica=self.standing.name, because=because)

    def _move(self, event: ReplicaEvent, why: str = "", detail: str = "") -> None:
        self.state = next_state(self.state, event)
        if event in {ReplicaEvent.FAILED, ReplicaEvent.TRIPPED}:
            self.adapters.forget()
        ready = self.state is ReplicaState.READY
        self.why, self.detail = ("", "") if ready else (why, detail)


def _word(error: TameError) -> str:
    if "served" in error.metadata:
        return OTHER_BASE_MODEL
    if "why" in error.metadata:
        return error.metadata["why"]
    failure = failure_of(error, begun=False)
    return str(failure.kind) if failure else error.reason.lower()


def _now() -> float:
    return asyncio.get_running_loop().time()
