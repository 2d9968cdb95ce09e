"""What publishing and going back share: replicas made ready, one mover at a time, and the news."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tame_router.backends.fleet import Fleet
from tame_router.catalog.expert import Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.errors import InvalidRequestError, TameError
from tame_router.registry.record import Actor, Call, Label, RevisionRecord
from tame_router.registry.records.access import Records
from tame_router.registry.rollout.labels import Labels
from tame_router.registry.rollout.newcomers import Newcomers
from tame_router.registry.unbroken import unbroken

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore

Check = Callable[[RevisionRecord], Awaitable[None]]
"""Makes sure that a revision's bytes and signature are what they were."""


class LabelMover:
    """Prepares replicas for a revision, and lets a label that has moved count here.

    Args:
        records: Where labels are kept.
        fleet: The replicas.
        live: The experts.
        labels: What counts here.
        newcomers: Brings experts that are not here yet.
        prepare_timeout_s: Time a replica may take to load and answer.
        quorum: Share of the replicas that must have.

    Attributes:
        prepare_timeout_s: As above.
    """

    def __init__(
        self,
        records: Records,
        fleet: Fleet,
        live: LiveCatalog,
        labels: Labels,
        newcomers: Newcomers,
        *,
        prepare_timeout_s: float,
        quorum: float,
    ) -> None:
        self._records = records
        self._fleet = fleet
        self._live = live
        self._labels = labels
        self._newcomers = newcomers
        self.prepare_timeout_s = prepare_timeout_s
        self._quorum = quorum
        self._ways_back: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def alone(self, expert: str) -> asyncio.Lock:
        """Give the lock under which an expert's label is moved by this process."""
        return self._locks[expert]

    def known(self, expert: str) -> bool:
        """Tell whether there is such an expert."""
        return expert in self._live.folders.experts

    def own(self, expert: str) -> str:
        """Give the revision in an expert's own folder; empty: it has none, or is to be made."""
        known = self._live.folders.experts.get(expert)
        return known.live.name if known and known.live else ""

    def loaded(self, expert: str, revision: str) -> bool:
        """Tell whether the expert's replicas have loaded a revision, and answered under its name.

        The base model, an empty name, always is.
        """
        return not revision or self._fleet.loaded(self._expert(expert).backend, revision)

    async def prepare(self, expert: str, revision: str) -> None:
        """Have enough replicas load a revision and answer under its name.

        Where the revision makes its expert, the router is extended first, in memory.

        Raises:
            RolloutError: When too few do, or the router cannot be extended.
            RevisionRefusedError: When it makes no expert beside those that are here.
        """
        known = self._live.folders.experts.get(expert)
        known = known or await self._newcomers.prepare(revision)
        deadline = asyncio.get_running_loop().time() + self.prepare_timeout_s
        await self._fleet.prepare(known.backend, revision, deadline=deadline, quorum=self._quorum)

    def prepare_way_back(self, expert: str, live: str) -> None:
        """Have replicas answer as what is live now, so that a rollback to it need not ask them.

        It is done beside the publication, which does not wait for it. Where replicas do not, a
        rollback prepares them itself, and takes so much longer.
        """
        if live and not self.loaded(expert, live):
            self._ways_back.put_nowait((expert, live))

    async def run(self) -> None:
        """Prepare ways back as they are asked for, until cancelled."""
        while True:
            expert, live = await self._ways_back.get()
            with contextlib.suppress(TameError):  # the log says of each replica why
                await self.prepare(expert, live)

    async def move(self, work: "Callable[[RecordStore], Label]") -> Label:
        """Move a label in the records, and go by it here; the log says so once it is kept.

        A caller that leaves just then has moved it, and it counts here before it is gone.

        Args:
            work: Moves it, or finds it moved, and gives it.

        Raises:
            TameError: What the work raises.
            StoreUnavailableError: When the records cannot be used.
        """
        kept: list[Label] = []

        def moving(store: "RecordStore") -> Label:
            kept.append(
                work(store)
            )  # said by the thread: who leaves meanwhile is not told any more
            return kept[0]

        try:
            label = await self._records.ask(moving)
        except asyncio.CancelledError:
            for label in kept:
                with contextlib.suppress(TameError):  # it is gone by a little later
                    await unbroken(self._count(label))
            raise
        await unbroken(self._count(label))
        return label

    async def _count(self, label: Label) -> None:
        """Go by a label that has moved.

        Where it is a new expert's, that is brought here; should it fail, it is tried again beside
        the answers.
        """
        await self._labels.refresh()
        if label.expert in self._labels.missing:
            await self._newcomers.complete()

    def _expert(self, name: str) -> Expert:
        return self._live.folders.expert(name)


def call_of(actor: Actor, method: str, request_id: str) -> Call | None:
    """Name a call, so that it is done once; None: its caller did not."""
    if not request_id:
        return None
    return Call(tenant=actor.tenant, method=method, request_id=request_id)


def require_same(request_id: str, *, same: bool) -> None:
    """Make sure that a call that was done is the one that is asked for again.

    Raises:
        InvalidRequestError: When another call had its name.
    """
    if not same:
        raise InvalidRequestError(
            f"request_id {request_id!r} named another call before; use a new one",
            field="request_id",
        )
