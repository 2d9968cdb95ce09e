"""Labels as they count here: read from the records, shown to those who answer and to replicas."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tame_router.backends.fleet import Fleet
from tame_router.catalog.expert import Canary, Catalog
from tame_router.catalog.live import LiveCatalog, Pointer
from tame_router.catalog.revision import Revision
from tame_router.errors import StoreUnavailableError
from tame_router.registry.backoff import Backoff
from tame_router.registry.record import Label, Mode
from tame_router.registry.records.access import Records
from tame_router.telemetry import log

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the records say of all labels at one moment."""

    generation: int
    labels: Mapping[str, Label]
    digests: Mapping[str, str]


class Labels:
    """Keeps what answers here in step with the records, which other routers change too.

    Args:
        records: The records.
        live: The experts; their pointers are moved.
        fleet: The replicas; they are told which adapters they must have.
        tell: Called with the experts whenever a label has moved.
        refresh_s: Time after which a change by another router is seen, at most.

    Attributes:
        lacking: Set when labels speak of experts that are not here.
    """

    def __init__(
        self,
        records: Records,
        live: LiveCatalog,
        fleet: Fleet,
        tell: Callable[[Catalog], None],
        *,
        refresh_s: float,
    ) -> None:
        self._records = records
        self._live = live
        self._fleet = fleet
        self._tell = tell
        self._refresh_s = refresh_s
        self._known = _Known(generation=0, labels={}, digests={})
        self._reading = asyncio.Lock()
        self.lacking = asyncio.Event()

    @property
    def folders(self) -> Catalog:
        """The experts that are here, as their folders describe them."""
        return self._live.folders

    @property
    def missing(self) -> list[str]:
        """Experts that labels speak of, and that are not here."""
        labels = self._known.labels
        here = self._live.folders.experts
        return sorted(name for name in labels if labels[name].generation and name not in here)

    @property
    def answering(self) -> frozenset[str]:
        """Names of all that labels let answer, live ones and canaries."""
        labels = self._known.labels.values()
        return frozenset(name for label in labels for name in (label.live, label.canary) if name)

    def live_name(self, expert: str) -> str:
        """Give the name of what is live now; empty: the base model without adapter."""
        return self._live.current.expert(expert).live_revision

    async def refresh(self) -> None:
        """Look whether a label has moved, and go by it.

        Raises:
            StoreUnavailableError: When the records cannot be read; what counted goes on counting.
        """
        async with self._reading:
            generation = self._known.generation
            known = await self._records.ask(lambda store: _read(store, generation))
            if known is None:
                return
            self._known = known
            self._show()
            if self.missing:
                self.lacking.set()

    def describe(self, folders: Catalog) -> None:
        """Take other experts; those that are new answer as their labels say."""
        self._live.describe(folders)
        self._show()

    def _show(self) -> None:
        """Go by what is known, for the experts that are here."""
        known, folders = self._known, self._live.folders
        pointers = {
            name: _pointer(label, folders, known.digests)
            for name, label in known.labels.items()
            if name in folders.experts and label.generation
        }
        self._live.point(pointers)
        self._fleet.desired(wanted(self._live.current))
        self._tell(self._live.current)

    async def begin(self) -> None:
        """Go by what the records say, where there are any, before the first question.

        Raises:
            StoreUnavailableError: When the records cannot be read.
        """
        if await self._records.present():
            await self.refresh()

    async def follow(self) -> None:
        """Refresh again and again, until cancelled; less often while that cannot be done."""
        backoff = Backoff(self._refresh_s)
        wait_s = self._refresh_s
        while True:
            await asyncio.sleep(wait_s)
            wait_s = self._refresh_s
            try:
                await self.begin()
            except StoreUnavailableError as error:
                wait_s = backoff.failed()
                if backoff.failures == 1:
                    log.event(logging.WARNING, "labels.unread", because=error.message)
            else:
                backoff.worked()


def wanted(catalog: Catalog) -> dict[str, frozenset[str]]:
    """Tell which adapters each backend's replicas must have, by the backend's name."""
    names: dict[str, set[str]] = {}
    for expert in catalog.experts.values():
        names.setdefault(expert.backend, set()).update(expert.adapters)
    return {backend: frozenset(revisions) for backend, revisions in names.items()}


def _read(store: "RecordStore", generation: int) -> _Known | None:
    """Read all labels where one has moved since a generation."""
    now = store.generation()
    if now == generation:
        return None
    labels = store.labels()
    names = {name for label in labels.values() for name in (label.live, label.canary) if name}
    records = [store.get(name, with_report=False) for name in sorted(names)]
    digests = {record.name: record.digest for record in records if record}
    return _Known(generation=now, labels=labels, digests=digests)


def _pointer(label: Label, folders: Catalog, digests: Mapping[str, str]) -> Pointer:
    own = folders.expert(label.expert).live

    def revision(name: str) -> Revision | None:
        if own and own.name == name:
            return own
        if name in digests:
            return Revision(expert=label.expert, digest=digests[name])
        # It lay in the expert's folder when the label was moved to it, and was replaced since.
        log.event(logging.WARNING, "label.lost", expert=label.expert, revision=name)
        return own

    canary = revision(label.canary) if label.canary else None
    tried = canary and Canary(
        revision=canary,
        share=label.canary_share,
        shadow=label.mode is not Mode.ANSWERING,
        proven=label.mode is Mode.PROVEN,
    )
    return Pointer(live=revision(label.live) if label.live else None, canary=tried or None)
