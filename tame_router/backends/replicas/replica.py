"""One replica of a backend: a vLLM server, its state, its breaker, its load."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from tame_router.backends.backend import RETRY_AFTER_S, Generation
from tame_router.backends.openai.chat_stream import ChatStream
from tame_router.backends.replicas.adapters import ReplicaAdapters
from tame_router.backends.replicas.breaker import Breaker, BreakerRules, BreakerState
from tame_router.backends.replicas.failure import Failure, FailureKind, failure_of
from tame_router.backends.replicas.standing import Standing
from tame_router.backends.replicas.state import ReplicaEvent, ReplicaState, next_state
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.chat import Message, Role, Sampling
from tame_router.errors import AdapterNotLoadedError, TameError
from tame_router.telemetry import log

MISSES: Final = 2
"""Health checks in a row that a replica may not pass: one alone may have been bad luck."""

PREPARE_S: Final = 60.0
"""Time to load one revision, unless the settings say otherwise."""

_PROBE: Final = (Message(role=Role.USER, content="."),)


class Replica:
    """One server of a pool.

    Args:
        spec: Where it is.
        rules: When its breaker opens.
        probe_timeout_s: Longest time that the one token of a probe may take.
        prepare_timeout_s: Longest time that it may take to load one revision.

    Attributes:
        backend: Speaks to it.
        standing: Its load and adapters, for the choice.
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
    ) -> None:
        self.backend = VllmBackend(spec)
        self.standing = Standing(spec.base_url)
        self.adapters = ReplicaAdapters()
        self.state = ReplicaState.STARTING
        self.why = "not_checked"
        self.detail = "it was not checked yet"
        self.checked_at = float("-inf")
        self._breaker = Breaker(rules)
        self._probe_timeout_s = probe_timeout_s
        self._prepare_timeout_s = prepare_timeout_s
        self._misses = 0
        self._checking = asyncio.Lock()

    @property
    def probe_at(self) -> float:
        """When it may be probed, where it is ejected."""
        return self._breaker.probe_at

    async def start(self, generation: Generation, tokens: int) -> ChatStream:
        """Begin an answer; `end` must follow when it began, with the same number.

        Args:
            generation: What is asked.
            tokens: What it may come to.

        Raises:
            BackendError: When it does not begin.
            InvalidRequestError: When the server finds the request at fault.
        """
        self.standing.begin(tokens)
        try:
            return await self.backend.start(generation)
        except BaseException:
            self.standing.end(tokens)
            raise

    def end(self, tokens: int) -> None:
        """Take note that an answer ended, however it did."""
        self.standing.end(tokens)

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
        try:
            await self.backend.prepare(revision, deadline)
        except TameError:
            self.adapters.refused(revision, _now())
            self.standing.lacks(revision, _now())
            raise
        self.adapters.prepared(revision)
        self.standing.wrote(revision)

    def drain(self) -> None:
        """Give it no new answers, for good."""
        self._move(ReplicaEvent.DRAIN, "draining", "it is taken out of service")

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

    async def _check_start(self) -> None:
        try:
            await self.backend.check()
            self.adapters.forget()
            await self._bring(self._prepare_timeout_s)
        except TameError as error:
            self._move(ReplicaEvent.FAILED, _word(error), error.message)
        else:
            self._move(ReplicaEvent.PASSED)

    async def _check_health(self) -> None:
        if await self.backend.ready():
            self._misses = 0
            with suppress(TameError):  # tried again by a later check
                await self._bring(min(self._probe_timeout_s, self._prepare_timeout_s))
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
            await self.backend.check()
            await self._probe()
            self.standing.forget()  # it may be another process
            # What it could not do while it was away is no refusal: it is asked again.
            self.adapters.forget()
            await self._bring(self._prepare_timeout_s)
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

    async def _probe(self) -> None:
        """Have it write one token, with the base model."""
        generation = Generation(
            revision="",
            messages=_PROBE,
            sampling=Sampling(max_tokens=1, temperature=0),
            request_id="probe",
            deadline=_now() + self._probe_timeout_s,
        )
        async with self.backend.open(generation) as pieces:
            async for _ in pieces:
                pass

    async def _bring(self, timeout_s: float) -> None:
        """Load the revisions that it is to have and has not.

        One that it does not know keeps it from none of the others: the store may have lost it.
        """
        for revision in self.adapters.missing(_now()):
            try:
                await self.prepare(revision, _now() + timeout_s)
            except TameError as error:
                log.event(
                    logging.WARNING,
                    "replica.revision_missing",
                    replica=self.standing.name,
                    revision=revision,
                    because=error.message,
                )
                if not isinstance(error, AdapterNotLoadedError):
                    raise

    def _move(self, event: ReplicaEvent, why: str = "", detail: str = "") -> None:
        self.state = next_state(self.state, event)
        if event in {ReplicaEvent.FAILED, ReplicaEvent.TRIPPED}:
            self.adapters.forget()
        ready = self.state is ReplicaState.READY
        self.why, self.detail = ("", "") if ready else (why, detail)


def _word(error: TameError) -> str:
    if "served" in error.metadata:
        return "other_base_model"
    failure = failure_of(error, begun=False)
    return str(failure.kind) if failure else error.reason.lower()


def _now() -> float:
    return asyncio.get_running_loop().time()
