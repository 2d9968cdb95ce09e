"""What becomes of copies: who is told, and what they cost nobody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tame_router.answering.dispatch import Dispatch
from tame_router.backends.backend import Generation, Piece
from tame_router.catalog.expert import Catalog, Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import FinishReason, Guarding, Usage
from tame_router.config_registry import CanarySettings
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendSilentError,
    BackendUnavailableError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)
from tame_router.registry.canary.judge import Judge
from tame_router.registry.canary.outcome import Outcome
from tame_router.registry.canary.shadow import Copy, Shadow
from tame_router.registry.canary.watch import CanaryWatch, Standing
from tests.registry.canary.test_witness import LEGAL, LIVE, NEW, QUESTION, decided

pytestmark = pytest.mark.anyio

FINE = Outcome(bad=False, token_s=0.02)


class Scripted:
    """A backend that says one thing, or fails, and keeps what it was asked.

    Args:
        error: What it fails with; None: it does not.
        begun: It fails after its first words.

    Attributes:
        text: What it says of everything.
        error: As above.
        asked: What it was asked.
        heard: Set once it was asked anything.
    """

    def __init__(self, error: Exception | None = None, *, begun: bool = False) -> None:
        self._begun = begun
        self.text = "words"
        self.error = error
        self.asked: list[Generation] = []
        self.heard = asyncio.Event()

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        """Answer."""
        self.asked.append(generation)
        self.heard.set()
        if self.error is not None and not self._begun:
            raise self.error

        async def pieces() -> AsyncIterator[Piece]:
            yield Piece(text=self.text)
            if self.error is not None:
                raise self.error
            yield Piece(finish_reason=FinishReason.STOP, usage=Usage(completion_tokens=2))

        yield pieces()

    async def context_tokens(self) -> int | None:
        """Nobody asks."""
        raise NotImplementedError

    async def ready(self) -> bool:
        """Nobody asks."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""


class Place:
    """A shadow at work, and what it counted."""

    def __init__(self, backend: Any, judge: str = "", at_once: int = 1) -> None:
        self.outcomes: Counter[str] = Counter()
        self.counted = asyncio.Event()
        self.watch = CanaryWatch(CanarySettings(), lambda *_: None)
        self.watch.begin("legal", LIVE.name, NEW.name, shadow=True)
        dispatch = Dispatch({"local": backend})
        live = LiveCatalog(Catalog({"legal": LEGAL}))
        self.shadow = Shadow(
            CanarySettings(shadow_at_once=at_once),
            dispatch,
            Guarding.COUNT,
            self.watch,
            self._count,
            Judge(judge, dispatch, live, wait_s=5) if judge else None,
        )

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self.counted.set()

    @property
    def standing(self) -> Standing:
        """What is known."""
        found = self.watch.standing("legal")
        assert found is not None
        return found


def copy(text: str = "said", expert: Expert = LEGAL) -> Copy:
    """Give a copy."""
    return Copy(
        expert=replace(expert, live=NEW, canary=None),
        question=msgspec.structs.replace(QUESTION, trace={"traceparent": "x"}, deadline=1.0),
        decision=decided().decision,
        outcome=FINE,
        text=text,
        time_s=5.0,
    )


async def done(place: Place, *copies: Copy) -> None:
    """Offer copies one by one, and wait until each is counted."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(place.shadow.run())
        for one in copies:
            place.counted.clear()
            place.shadow.offer(one)
            async with asyncio.timeout(10):
                await place.counted.wait()
            await asyncio.sleep(0)
        task.cancel()


async def test_a_copy_goes_behind_all_callers() -> None:
    """With a name, a time and a trace of its own; the adapter is the shadow."""
    backend = Scripted()
    place = Place(backend)
    now = asyncio.get_running_loop().time()
    await done(place, copy())
    (asked,) = backend.asked
    assert (asked.revision, asked.request_id, asked.aside) == (NEW.name, "answer-1-copy", True)
    assert (asked.priority, asked.trace) == (-1000, {})
    assert asked.deadline is not None
    assert now + 4 < asked.deadline < now + 10
    assert place.outcomes == {"answered": 1}
    assert (place.standing.live_answers, place.standing.canary_answers) == (1, 1)


@pytest.mark.parametrize(
    ("error", "begun", "outcome", "counts"),
    [
        (BackendUnavailableError("gone"), False, "dropped", 0),
        (BackendFailedError("500"), False, "failed", 1),
        (DeadlineExceededError("too late"), True, "failed", 1),
        (DeadlineExceededError("too late"), False, "dropped", 0),
        (BackendSilentError("silent"), True, "dropped", 0),
        (BackendSilentError("silent"), False, "dropped", 0),
        (BackendOverloadedError("busy"), False, "dropped", 0),
        (AdapterNotLoadedError("not yet"), False, "dropped", 0),
        (InvalidRequestError("too long"), False, "dropped", 0),
    ],
)
async def test_failures_are_told_to_the_watch(
    error: TameError, begun: bool, outcome: str, counts: int
) -> None:
    """What the revision is to blame for counts; a busy backend, a question, or starving do not."""
    place = Place(Scripted(error=error, begun=begun))
    await done(place, copy())
    assert place.outcomes == {outcome: 1}
    assert place.standing.canary_answers == counts


async def test_what_breaks_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """After an error that nobody foresaw the next copy is asked; what it says is not logged."""
    backend = Scripted(error=RuntimeError("a fault of ours"))
    place = Place(backend, at_once=2)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(place.shadow.run())
        place.shadow.offer(copy())
        async with asyncio.timeout(10):
            await backend.heard.wait()
            backend.error = None
            place.shadow.offer(copy())
            await place.counted.wait()
        task.cancel()
    assert place.outcomes == {"answered": 1}
    (record,) = [one for one in caplog.records if one.getMessage() == "adapter.copy_broke"]
    assert "a fault of ours" not in str(vars(record))
    assert "RuntimeError at test_shadow.py:" in str(vars(record))


async def test_what_finds_no_place_is_dropped() -> None:
    """As many as there are places are taken."""
    place = Place(Scripted(), at_once=2)
    for _ in range(3):
        place.shadow.offer(copy())
    assert place.outcomes == {"dropped": 1}


class Verdicts(Scripted):
    """A backend that answers, and of drafts says the next of some verdicts."""

    def __init__(self, *verdicts: str) -> None:
        super().__init__()
        self._verdicts = list(verdicts)

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        """Answer."""
        self.text = "words" if generation.revision else self._verdicts.pop(0)
        async with super().open(generation) as pieces:
            yield pieces


@pytest.mark.parametrize(
    ("verdicts", "preference"),
    [
        (("1", "2"), 1.0),
        (("2", "1"), -1.0),
        (("1", "1"), 0.0),
        (("2", "2"), 0.0),
        (("1", "no"), None),
        (("no", "1"), None),
    ],
)
async def test_a_preference_takes_both_orders(
    verdicts: tuple[str, str], preference: float | None
) -> None:
    """The same answer named both times; else it is a tie, and what cannot be read is nothing."""
    backend = Verdicts(*(f'{{"best": {one}}}' for one in verdicts))
    live = LiveCatalog(Catalog({"legal": LEGAL}))
    judge = Judge("base", Dispatch({"local": backend}), live, wait_s=5)
    found = await judge.preference(LEGAL, QUESTION, "en", "first answer", "second answer")
    assert found == preference
    first, second = backend.asked
    assert (first.sampling.temperature, first.revision) == (0.0, "")
    asked = [one.messages[-1].content for one in (first, second)]
    places = [text.index("first answer") < text.index("second answer") for text in asked]
    assert places == [True, False]


async def test_equal_answers_are_a_tie_and_a_lost_judge_says_nothing() -> None:
    """Neither is worth a question more."""
    backend = Scripted(error=BackendUnavailableError("gone"))
    live = LiveCatalog(Catalog({"legal": LEGAL}))
    judge = Judge("legal", Dispatch({"local": backend}), live, wait_s=5)
    assert await judge.preference(LEGAL, QUESTION, "en", "same", "same") == 0.0
    assert backend.asked == []
    assert await judge.preference(LEGAL, QUESTION, "en", "one", "other") is None


async def test_blank_answers_are_not_compared() -> None:
    """There is nothing to prefer: how they ended says it all."""
    backend = Verdicts('{"best": 1}', '{"best": 2}')
    place = Place(backend, judge="base")
    await done(place, copy(text=" "), copy())
    assert [one.revision for one in backend.asked] == [NEW.name, NEW.name, "", ""]
