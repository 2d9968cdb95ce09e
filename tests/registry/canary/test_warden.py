"""What the warden does with verdicts, and with those it cannot act on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tame_router.config_registry import CanarySettings
from tame_router.errors import TameError
from tame_router.errors_registry import CorruptRevisionError, LabelMovedError, RolloutError
from tame_router.registry.canary import warden
from tame_router.registry.canary.outcome import FAILED, Outcome
from tame_router.registry.canary.trial import Verdict
from tame_router.registry.canary.warden import Warden
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.record import Actor, Label
from tame_router.registry.rollout.restoration import Rollback

pytestmark = pytest.mark.anyio

FINE = Outcome(bad=False, token_s=0.02)


class Place:
    """A warden at work over one canary, and what it did.

    Attributes:
        done: What was done, each with its reason, as it was begun.
        error: What publishing, proving and going back fail with; None: they do not.
        hold: Publishing waits for it.
        notes: Why canaries stayed what they were.
    """

    def __init__(self, settings: CanarySettings | None = None) -> None:
        self.done: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.error: TameError | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.notes: list[tuple[str, Reason]] = []
        self.warden = Warden(
            settings or CanarySettings(), self._go_back, self._go_on, self._prove, self._note
        )
        self.watch = self.warden.watch
        self.watch.begin("legal", "old", "new")

    async def _go_back(self, wanted: Rollback, actor: Actor) -> Label:
        self.done.put_nowait(("rollback", wanted.because))
        if self.error is not None:
            raise self.error
        return Label(expert="legal")

    async def _go_on(self, canary: str, because: str) -> None:
        self.done.put_nowait(("publish", because))
        await self.hold.wait()
        if self.error is not None:
            raise self.error

    async def _prove(self, shadow: str, because: str) -> None:
        self.done.put_nowait(("prove", because))
        if self.error is not None:
            raise self.error

    async def _note(self, canary: str, finding: Finding) -> None:
        assert self.error is not None
        assert self.error.message in finding.message
        self.notes.append((canary, finding.reason))

    def answer(self, outcome: Outcome, rounds: int) -> None:
        """Have both sides answer so often, the canary with this outcome, the live one well."""
        for _ in range(rounds):
            self.watch.observe("legal", "old", FINE)
            self.watch.observe("legal", "new", outcome)

    async def next(self) -> tuple[str, str]:
        """Wait for what is done next."""
        async with asyncio.timeout(10):
            return await self.done.get()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the warden."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.warden.run())
            try:
                yield
            finally:
                task.cancel()


async def settled() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [RolloutError("away"), CorruptRevisionError("corrupt")])
async def test_a_good_one_that_cannot_be_published_is_watched_on(
    error: TameError, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on answering: once it fails it is rolled back, and why it stayed is logged once."""
    place = Place()
    place.error = error
    async with place.running():
        place.answer(FINE, 150)
        assert (await place.next())[0] == "publish"
        await settled()
        standing = place.watch.standing("legal")
        assert standing is not None
        assert (standing.verdict, standing.canary_answers) == (Verdict.CONTINUE, 0)
        stays = [record for record in caplog.records if "canary_stays" in record.getMessage()]
        assert len(stays) == 1
        assert place.notes == [("new", Reason.NOT_PUBLISHED)]
        place.error = None
        place.answer(FAILED, 40)
        assert (await place.next())[0] == "rollback"


async def test_a_second_trial_publishes_it() -> None:
    """Found good again, it is published where that works now."""
    place = Place()
    place.error = RolloutError("away")
    async with place.running():
        place.answer(FINE, 150)
        assert (await place.next())[0] == "publish"
        await settled()
        place.error = None
        place.answer(FINE, 150)
        assert (await place.next())[0] == "publish"


async def test_a_rollback_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it is the same trial."""
    monkeypatch.setattr(warden, "AGAIN_S", 0.0)
    place = Place()
    place.error = RolloutError("away")
    async with place.running():
        place.answer(FAILED, 40)
        assert (await place.next())[0] == "rollback"
        assert (await place.next())[0] == "rollback"
    assert ("new", Reason.NOT_ROLLED_BACK) in place.notes


async def test_a_good_shadow_that_cannot_be_noted_is_told_as_one() -> None:
    """Nobody was to publish it."""
    place = Place(CanarySettings(publish_good_shadows=False))
    place.error = RolloutError("away")
    place.watch.begin("legal", "old", "new", shadow=True)
    async with place.running():
        for _ in range(150):
            place.watch.compare("legal", "new", FINE, FINE)
        assert (await place.next())[0] == "prove"
        await settled()
    assert place.notes == [("new", Reason.NOT_PROVEN)]


@pytest.mark.parametrize("outcome", [FINE, FAILED])
async def test_who_comes_second_says_nothing(
    outcome: Outcome, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else moved the label: the canary does not stay, or its verdict is acted on again."""
    monkeypatch.setattr(warden, "AGAIN_S", 0.0)
    place = Place()
    place.error = LabelMovedError("moved")
    async with place.running():
        place.answer(outcome, 150)
        done = await place.next()
        assert await place.next() == done
        place.error = None
        place.watch.end("legal")
        await settled()
    assert place.notes == []
    assert not [record for record in caplog.records if "canary_stays" in record.getMessage()]


async def test_a_verdict_is_of_one_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a retry nor a verdict that waited is applied to a later one of the same revision."""
    monkeypatch.setattr(warden, "AGAIN_S", 0.0)
    place = Place(CanarySettings(publish_good_shadows=False))
    place.hold.clear()
    async with place.running():
        place.answer(FINE, 150)
        assert (await place.next())[0] == "publish"
        place.error = RolloutError("away")
        place.watch.begin("legal", "old", "new", shadow=True)
        place.watch.compare("legal", "new", FINE, FINE)
        place.hold.set()
        await settled()
        standing = place.watch.standing("legal")
        assert standing is not None
        assert (standing.shadow, standing.canary_answers) == (True, 1)
        place.watch.begin("legal", "old", "new")
        place.answer(FAILED, 40)
        place.watch.begin("legal", "newer", "new")
        await settled()
        assert place.done.empty()


async def test_a_rollback_for_ratings_says_how_many() -> None:
    """Beside how many of the live one's: answers alone do not tell."""
    place = Place()
    async with place.running():
        place.answer(FINE, 3)
        place.watch.dislike("legal", "old", "new", 0.1)
        for _ in range(40):
            place.watch.dislike("legal", "new", "new", 0.1)
        kind, because = await place.next()
    standing = place.watch.standing("legal")
    assert standing is not None
    assert (kind, standing.live_ratings) == ("rollback", 1)
    assert "by 3 answers beside 3 and 40 bad ratings beside 1: more bad ratings" in because


async def test_one_key_s_ratings_hold_no_canary_up() -> None:
    """As many as count of one key by default do not keep it from being found good."""
    settings = CanarySettings()
    place = Place(settings)
    async with place.running():
        for _ in range(settings.ratings_per_key):
            place.watch.dislike("legal", "new", "new", 0.1)
        place.answer(FINE, 150)
        assert (await place.next())[0] == "publish"
