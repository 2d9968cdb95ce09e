"""What all fuzzers share: inputs drawn until a time is up, failing ones made small, a count."""

import contextlib
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

ROUND = 500
"""Inputs drawn before a new seed: what Hypothesis remembers of a run stays small."""

VARIANTS = 6
"""Variants of an input, each of the one before it."""

SMALL_S = 20.0
"""Longest time for making an input small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What one input met.

    Attributes:
        status: As it is counted: `HTTP 400`, `Chat INVALID_ARGUMENT`.
        fault: What is wrong with it; empty: nothing.
    """

    status: str
    fault: str = ""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a fuzzer met.

    Attributes:
        seconds: Time it took.
        statuses: Requests by what they met.
        failures: By fault: the smallest input that showed it, and how to send it again.
    """

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """All requests."""
        return self.statuses.total()

    def add(self, other: "Tally") -> None:
        """Count another's in."""
        self.seconds += other.seconds
        self.statuses += other.statuses
        self.failures |= other.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs(Generic[T]):
    """What is sent.

    Attributes:
        drawn: Draws inputs.
        varied: Makes another input of one, quickly.
        send: Sends an input, and says what it met.
        tell: Writes how to send an input again.
    """

    drawn: SearchStrategy[T]
    varied: Callable[[T, Random], T]
    send: Callable[[T], Met]
    tell: Callable[[T], str]


def mostly(usual: T, others: SearchStrategy[T], *, times: int) -> SearchStrategy[T]:
    """Draw the usual value so many times out of as many and one, and one of the others else."""
    return st.integers(0, times).flatmap(lambda n: others if n == times else st.just(usual))


class _FaultMet(Exception):
    """An input met what must not be."""


class _Round(Generic[T]):
    """One run of Hypothesis.

    Args:
        inputs: What is sent.
        tally: Counts.
        until: Moment at which it ends, on the monotonic clock.
    """

    def __init__(self, inputs: Inputs[T], tally: Tally, until: float) -> None:
        self._inputs = inputs
        self._tally = tally
        self._until = until
        self._known = frozenset(tally.failures)

    def send(self, one: T) -> None:
        """Send an input and its variants."""
        if time.monotonic() > self._until:
            return
        self._try(one)
        # The same input has the same variants, so that one that fails can be made small.
        random = Random(zlib.crc32(repr(one).encode("utf-8", "replace")))
        for _ in range(VARIANTS):
            one = self._inputs.varied(one, random)
            self._try(one)

    def _try(self, one: T) -> None:
        met = self._inputs.send(one)
        failures = self._tally.failures
        self._tally.statuses[met.status] += 1
        if not met.fault or met.fault in self._known:
            return
        if self._known == frozenset(failures):
            self._until = time.monotonic() + SMALL_S
        told = self._inputs.tell(one)
        failures[met.fault] = min(told, failures.get(met.fault, told), key=len)
        raise _FaultMet(met.fault)


def drive(inputs: Inputs[T], *, seconds: float, first_seed: int) -> Tally:
    """Draw inputs, vary each some times, and send all, until the time is up.

    Drawing is slow, and varying fast. A fault is shown once: its input is made small, and the
    fault passed over from then on.

    Args:
        inputs: What is sent.
        seconds: Time it may take; making an input small comes on top.
        first_seed: Of the first round; the next has the next.
    """
    tally = Tally()
    begun = time.monotonic()
    rounds = 0
    while time.monotonic() - begun < seconds:
        once = _Round(inputs, tally, begun + seconds)
        run = settings(
            max_examples=ROUND,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )(seed(first_seed + rounds)(given(inputs.drawn)(once.send)))
        # A fault that does not come again is one that Hypothesis complains of; it is told anyway.
        with contextlib.suppress(_FaultMet, ExceptionGroup, Flaky):
            run()
        rounds += 1
    tally.seconds = time.monotonic() - begun
    return tally
