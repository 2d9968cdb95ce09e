"""Acts on what is known of canaries: one that is worse is rolled back, one that is good is told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tame_router.catalog.expert import Catalog
from tame_router.config_registry import CanarySettings
from tame_router.errors import TameError
from tame_router.registry.canary.trial import Verdict
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.registry.record import ROUTER, Actor, Label
from tame_router.registry.rollout.restoration import Rollback
from tame_router.telemetry import log

GoBack = Callable[[Rollback, Actor], Awaitable[Label]]
"""Moves a label back; `Restorer.rollback`."""


class Warden:
    """Keeps the watch in step with the labels, and rolls back.

    Args:
        settings: Whether, and with which error.
        go_back: Moves a label back.

    Attributes:
        watch: What answers are told to.
    """

    def __init__(self, settings: CanarySettings, go_back: GoBack) -> None:
        self.watch = CanaryWatch(settings, self._decided)
        self._go_back = go_back
        self._verdicts: asyncio.Queue[tuple[str, str, Verdict]] = asyncio.Queue()

    def follow(self, catalog: Catalog) -> None:
        """Watch the canaries that there are now, and no others."""
        for name, expert in catalog.experts.items():
            if expert.canary is None:
                self.watch.end(name)
            else:
                self.watch.begin(name, expert.live_revision, expert.canary.revision.name)

    async def run(self) -> None:
        """Act on verdicts, until cancelled."""
        while True:
            expert, canary, verdict = await self._verdicts.get()
            if verdict is Verdict.GOOD:
                log.event(logging.INFO, "adapter.canary_good", expert=expert, revision=canary)
                continue
            standing = self.watch.standing(expert)
            if standing is None or standing.canary != canary:
                continue  # somebody was faster
            because = (
                f"{canary} answers clearly worse than what is live, by {standing.canary_answers}"
                f" answers beside {standing.live_answers}"
            )
            log.event(logging.WARNING, "adapter.canary_bad", expert=expert, because=because)
            try:
                wanted = Rollback(expert=expert, because=because, canary=canary)
                await self._go_back(wanted, ROUTER)
            except TameError as error:
                log.event(
                    logging.ERROR, "adapter.canary_stays", expert=expert, because=error.message
                )

    def _decided(self, expert: str, canary: str, verdict: Verdict) -> None:
        self._verdicts.put_nowait((expert, canary, verdict))
