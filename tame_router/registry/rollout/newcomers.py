"""Experts that labels speak of and that are not here yet: published elsewhere, or just now."""

import asyncio
import logging
from collections.abc import Callable

from tame_router.catalog.expert import Expert
from tame_router.errors import TameError
from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.domain.domain import founds
from tame_router.registry.domain.domains import Domains, widened
from tame_router.registry.records.access import Records
from tame_router.registry.rollout.labels import Labels
from tame_router.routing.router import Router
from tame_router.telemetry import log

LONGEST_WAIT_S = 60.0
"""Longest wait before an expert that could not be brought is tried again."""

Adopt = Callable[[Router], None]
"""Lets another router decide from the next question on."""


class Newcomers:
    """Brings new experts here: folder, router, label, in this order.

    Args:
        records: What is known of revisions.
        labels: What counts here.
        domains: Makes experts.
        adopt: Lets the extended router decide.
        refresh_s: Time after which a failure is tried again, at first.
    """

    def __init__(
        self,
        records: Records,
        labels: Labels,
        domains: Domains,
        adopt: Adopt,
        *,
        refresh_s: float,
    ) -> None:
        self._records = records
        self._labels = labels
        self._domains = domains
        self._adopt = adopt
        self._refresh_s = refresh_s
        self._refused: set[str] = set()
        self._bringing = asyncio.Lock()

    async def prepare(self, revision: str) -> Expert:
        """See that a revision can make its expert here, before anything changes.

        Raises:
            RegistryError: As `Domains.prepare` does.
        """
        async with self._bringing:
            return await self._domains.prepare(revision)

    async def complete(self) -> bool:
        """Bring all experts that labels speak of; tell whether all are here that can be.

        What fails is logged: the experts that are here answer meanwhile.
        """
        whole = True
        for expert in self._missing():
            try:
                async with self._bringing:
                    await self._bring(expert)
            except RevisionRefusedError as error:
                # It will not become another thing by being looked at again.
                self._refused.add(expert)
                log.event(logging.ERROR, "domain.refused", expert=expert, because=error.message)
            except TameError as error:
                whole = False
                log.event(logging.ERROR, "domain.missing", expert=expert, because=error.message)
        return whole

    async def follow(self) -> None:
        """Bring experts as labels come to speak of them, until cancelled."""
        wait_s = self._refresh_s
        while True:
            await self._labels.lacking.wait()
            self._labels.lacking.clear()
            if await self.complete():
                wait_s = self._refresh_s
                continue
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            self._labels.lacking.set()

    def _missing(self) -> list[str]:
        return [name for name in self._labels.missing if name not in self._refused]

    async def _bring(self, expert: str) -> None:
        if expert not in self._labels.missing:
            return  # somebody else has brought it meanwhile
        founder = await self._records.ask(lambda store: store.founder(expert))
        if founder is None or not founds(founder):
            raise RevisionRefusedError(
                f"the label of {expert!r} has moved, and there is no such expert here: its folder"
                " is gone from the experts folder, and no upload has made it"
            )
        newcomer = await self._domains.bring(founder.name)
        # In one go: no question sees an expert without its router, or without its label.
        self._labels.describe(widened(self._labels.folders, newcomer.expert))
        self._adopt(newcomer.router)
        log.event(logging.INFO, "domain.added", expert=expert, revision=founder.name)
