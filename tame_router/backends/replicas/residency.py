"""Which adapters one replica has: the ledger, and how it is kept true.

Three sources feed it: what the replica wrote or was made to load through this router; what it
lists when it is looked at before it gets answers; and what its `/metrics` tell now and then. A
process that is another than before begins with an empty one.
"""

import asyncio
import logging
from typing import Final

from tame_router.backends.replicas.adapters import ReplicaAdapters
from tame_router.backends.replicas.standing import Standing
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.backends.vllm.identity import ServerIdentity
from tame_router.backends.vllm.metrics import EngineMetrics
from tame_router.errors import AdapterNotLoadedError, TameError
from tame_router.telemetry import log

_SAME_START_S: Final = 1.0


class Residency:
    """The ledger of one replica.

    Args:
        backend: Speaks to it.
        standing: Takes what should be on its device, for the choice.

    Attributes:
        adapters: Which revisions it is to have, and which it has shown to have.
    """

    def __init__(self, backend: VllmBackend, standing: Standing) -> None:
        self.adapters = ReplicaAdapters()
        self._backend = backend
        self._standing = standing
        self._started_at: float | None = None

    async def prepare(self, revision: str, deadline: float) -> None:
        """Have it load a revision and answer under its name.

        Raises:
            TameError: When it does not; answers of that revision are asked of others then.
        """
        try:
            await self._backend.prepare(revision, deadline)
        except TameError:
            self.adapters.refused(revision, _now())
            self._standing.lacks(revision, _now())
            raise
        self.adapters.prepared(revision)
        self._standing.wrote(revision)

    async def bring(self, timeout_s: float) -> None:
        """Load the revisions that it is to have and has not, each within that time.

        One that it does not know keeps it from none of the others: the store may have lost it.

        Raises:
            TameError: When it answers rubbish, or not at all.
        """
        for revision in self.adapters.missing(_now()):
            try:
                await self.prepare(revision, _now() + timeout_s)
            except TameError as error:
                log.event(
                    logging.WARNING,
                    "replica.revision_missing",
                    replica=self._standing.name,
                    revision=revision,
                    because=error.message,
                )
                if not isinstance(error, AdapterNotLoadedError):
                    raise

    def begin(self, identity: ServerIdentity) -> None:
        """Begin anew with what it lists: it, or this router, was started since it was last known.

        What it refused before is no refusal any more: it is asked again.
        """
        self.adapters.forget()
        self._standing.forget()
        self._started_at = None
        for name in identity.adapters:
            self._standing.wrote(name)

    def reconcile(self, metrics: EngineMetrics, until: float) -> bool:
        """Hold what it tells against the ledger; tell whether it is another process than before.

        Args:
            metrics: What it tells.
            until: Until when that is believed.
        """
        before, started_at = self._started_at, metrics.started_at
        if started_at is not None:
            # A later start alone counts: behind one address there may be several processes.
            self._started_at = started_at if before is None else max(before, started_at)
        self._standing.told(metrics, until)
        return before is not None and started_at is not None and started_at > before + _SAME_START_S


def _now() -> float:
    return asyncio.get_running_loop().time()
