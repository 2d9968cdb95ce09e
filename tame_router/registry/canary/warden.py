"""Acts on what is known of canaries: the worse is rolled back, the good answers all."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from tame_router.catalog.expert import Catalog
from tame_router.config_registry import CanarySettings
from tame_router.errors import TameError
from tame_router.errors_registry import (
    CorruptRevisionError,
    LabelMovedError,
    RevisionRefusedError,
)
from tame_router.registry.advice import found
from tame_router.registry.canary.trial import Verdict
from tame_router.registry.canary.watch import CanaryWatch, Standing
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.record import ROUTER, Actor, Label
from tame_router.registry.rollout.restoration import Rollback
from tame_router.telemetry import log

AGAIN_S = 5.0
"""Time after which a rollback that failed is tried again."""

FOR_GOOD = (CorruptRevisionError, RevisionRefusedError)
"""What another try would meet again."""

GoOn = Callable[[str, str], Awaitable[None]]
"""Publishes a canary for all, told why, unless it is none any more; `Publisher.go_on`."""

Prove = Callable[[str, str], Awaitable[None]]
"""Notes of a shadow that it is good, told why; `Publisher.prove`."""

Note = Callable[[str, Finding], Awaitable[None]]
"""Notes with a canary why it stays what it is."""

GoBack = Callable[[Rollback, Actor], Awaitable[Label]]
"""Moves a label back; `Restorer.rollback`."""


class Warden:
    """Keeps the watch in step with the labels, rolls back and goes on.

    Args:
        settings: Whether, and with which error.
        go_back: Moves a label back.
        go_on: Publishes a canary for all.
        prove: Notes that a shadow is good.
        note: Notes why one stays what it is.

    Attributes:
        watch: What answers are told to.
    """

    def __init__(
        self, settings: CanarySettings, go_back: GoBack, go_on: GoOn, prove: Prove, note: Note
    ) -> None:
        self._settings = settings
        self.watch = CanaryWatch(settings, self._decided)
        self._go_back = go_back
        self._go_on = go_on
        self._prove = prove
        self._note = note
        self._told: dict[str, tuple[int, str]] = {}
        self._verdicts: dict[Verdict, asyncio.Queue[tuple[str, Standing]]] = {
            verdict: asyncio.Queue() for verdict in (Verdict.ROLL_BACK, Verdict.GOOD)
        }

    def follow(self, catalog: Catalog) -> None:
        """Watch the canaries that there are now, and no others."""
        for name, expert in catalog.experts.items():
            canary = expert.canary
            if canary is None or canary.proven:
                self.watch.end(name)
            else:
                self.watch.begin(
                    name, expert.live_revision, canary.revision.name, shadow=canary.shadow
                )

    async def run(self) -> None:
        """Act on verdicts, until cancelled; no publication delays a rollback."""
        async with asyncio.TaskGroup() as group:
            for verdict in self._verdicts:
                group.create_task(self._act_on(verdict))

    async def _act_on(self, verdict: Verdict) -> None:
        while True:
            expert, decided = await self._verdicts[verdict].get()
            standing = self.watch.standing(expert)
            if standing is None or not standing.same_trial(decided):
                continue  # somebody was faster
            try:
                await self._act(expert, standing, good=verdict is Verdict.GOOD)
            except TameError as error:
                await self._failed(expert, standing, error)

    async def _failed(self, expert: str, standing: Standing, error: TameError) -> None:
        """See to a canary that stays though there is a verdict on it."""
        now = self.watch.standing(expert)
        if now is None or not now.same_trial(standing):
            return  # somebody else has seen to it
        if isinstance(error, LabelMovedError):
            # What it is now is not known here yet; one that is a canary still is seen to again.
            self._again(expert, standing)
            return
        because, canary = error.message, standing.canary
        if standing.verdict is Verdict.GOOD:
            finding = self._found_good(standing, because)
            because = f"{canary} is good, but stays what it is, on trial anew: {because}"
        else:
            told = f"it was found worse than what is live, and could not be rolled back: {because}"
            finding = found(Reason.NOT_ROLLED_BACK, told, fatal=False)
        if standing.verdict is not Verdict.GOOD and not isinstance(error, FOR_GOOD):
            # Whatever is away comes back; a canary that has gone meanwhile is passed over.
            self._again(expert, standing)
        else:
            # It goes on answering its share, so it must not go unwatched: a verdict is for good.
            self.watch.renew(expert)
        if self._told.get(expert) != (standing.trial, because):  # not with each try to go back
            self._told[expert] = (standing.trial, because)
            log.event(logging.ERROR, "adapter.canary_stays", expert=expert, because=because)
        with contextlib.suppress(TameError):  # the log says so already
            await self._note(canary, finding)

    def _again(self, expert: str, standing: Standing) -> None:
        asyncio.get_running_loop().call_later(AGAIN_S, self._queue, expert, standing)

    def _found_good(self, standing: Standing, because: str) -> Finding:
        """Say of a good one what could not be done with it."""
        if self._proves(standing):
            told = f"it was found good as a shadow, and that could not be noted: {because}"
            return found(Reason.NOT_PROVEN, told, fatal=False)
        told = f"it was found good, and could not be published: {because}"
        return found(Reason.NOT_PUBLISHED, told, fatal=False)

    def _proves(self, standing: Standing) -> bool:
        """Tell whether it is only noted that one is good: a shadow was never to answer."""
        return standing.shadow and not self._settings.publish_good_shadows

    async def _act(self, expert: str, standing: Standing, *, good: bool) -> None:
        """Let a canary answer all, or none; of a good shadow only note that it is."""
        canary = standing.canary
        counts = f"by {standing.canary_answers} answers beside {standing.live_answers}"
        if standing.canary_ratings or standing.live_ratings:
            counts += f" and {standing.canary_ratings} bad ratings beside {standing.live_ratings}"
        if good:
            because = f"{canary} is not clearly worse than what was live, {counts}"
            log.event(logging.INFO, "adapter.canary_good", expert=expert, because=because)
            # Whoever publishes a canary says what comes of it.
            await (self._prove if self._proves(standing) else self._go_on)(canary, because)
            return
        because = f"{canary} answers clearly worse than what is live, {counts}: {standing.ground}"
        log.event(logging.WARNING, "adapter.canary_bad", expert=expert, because=because)
        await self._go_back(Rollback(expert=expert, because=because, canary=canary), ROUTER)

    def _decided(self, expert: str, canary: str, verdict: Verdict) -> None:
        standing = self.watch.standing(expert)
        if standing is not None and (standing.canary, standing.verdict) == (canary, verdict):
            self._queue(expert, standing)

    def _queue(self, expert: str, standing: Standing) -> None:
        self._verdicts[standing.verdict].put_nowait((expert, standing))
