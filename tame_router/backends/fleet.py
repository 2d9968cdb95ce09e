"""All backends as the registry sees them: made ready for a revision, and asked what they have.

A revision is prepared on every replica before a label moves to it; a replica that fails, comes
back or joins is brought to the desired revisions before it gets answers again.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from tame_router.backends.backend import RETRY_AFTER_S, Backend
from tame_router.backends.replicas.pool import ReplicaPool
from tame_router.backends.replicas.replica import Replica
from tame_router.backends.replicas.state import ReplicaState
from tame_router.backends.vllm.backend import VllmBackend
from tame_router.backends.vllm.scoring import VllmScorer
from tame_router.errors import BackendUnavailableError, TameError, UnsupportedError
from tame_router.errors_registry import RolloutError
from tame_router.telemetry import log

_SLACK = 1e-9  # 0.7 of 10 replicas are 7, whatever binary fractions make of it


@runtime_checkable
class Preparing(Protocol):
    """A server that can be made ready for a revision."""

    async def prepare(self, revision: str, deadline: float) -> None:
        """Load a revision and answer under its name.

        Raises:
            TameError: When it does not.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """How a backend was made ready.

    Attributes:
        backend: Its name.
        revision: The revision; empty: the base model.
        replicas: Replicas that there are, those being taken out of service excepted.
        ready: Those that answered under the revision's name.
        refusals: Why the others did not, by `replica_<number>` in the order in which they came.
    """

    backend: str
    revision: str
    replicas: int
    ready: int
    refusals: Mapping[str, str] = field(default_factory=dict)


class Fleet:
    """The backends.

    Args:
        backends: By name.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        # A single server has no state that would show a restart. It loads by name when asked.
        self._single: dict[str, set[str]] = {name: set() for name in backends}

    async def prepare(
        self, backend: str, revision: str, deadline: float, quorum: float = 1.0
    ) -> Prepared:
        """Have the replicas of a backend load a revision, and answer a probe under its name.

        Args:
            backend: The backend's name.
            revision: The revision; empty: the base model.
            deadline: Until when that is waited for, on the event loop's clock.
            quorum: Share of the replicas, rounded up, that must have done so, in (0, 1].

        Raises:
            RolloutError: When fewer did; the metadata holds each one's reason.
            UnsupportedError: When the backend knows no revisions.
        """
        servers = self._servers(backend)
        errors = await _prepare_all(servers, revision, deadline)
        self._note(backend, revision, errors)
        refusals = {
            f"replica_{number}": f"{error.reason}: {error.message}"
            for number, error in enumerate(errors, 1)
            if error is not None
        }
        prepared = Prepared(
            backend=backend,
            revision=revision,
            replicas=len(servers),
            ready=len(servers) - len(refusals),
            refusals=refusals,
        )
        if prepared.ready < max(1, math.ceil(quorum * len(servers) - _SLACK)):
            raise _refused(prepared)
        return prepared

    def loaded(self, backend: str, revision: str) -> bool:
        """Tell whether every replica that gets answers has a revision.

        That is: it was prepared there, and the replica has not been seen to fail since.
        """
        found = self._backends.get(backend)
        if isinstance(found, ReplicaPool):
            ready = [one for one in found.replicas if one.state is ReplicaState.READY]
            return bool(ready) and all(one.adapters.has(revision) for one in ready)
        return not revision or revision in self._single.get(backend, ())

    def desired(self, names: Mapping[str, frozenset[str]]) -> None:
        """Say which revisions each backend's replicas are to have.

        One that comes back, or joins, loads them before it gets answers; one that gets answers
        loads those it lacks with its next checks. A single server loads when it is asked.

        Args:
            names: Revisions by the backend's name; one that is not named is to have none.
        """
        for name, backend in self._backends.items():
            if isinstance(backend, ReplicaPool):
                backend.desire(names.get(name, frozenset()) - {""})

    @asynccontextmanager
    async def examining(self, backend: str) -> AsyncIterator[VllmScorer]:
        """Open one server of a backend for the questions of a gate, beside its answers.

        Raises:
            UnsupportedError: When the backend is no vLLM.
            BackendUnavailableError: When none of its replicas gets answers now.
        """
        scorer = VllmScorer(self._examined(backend).spec)
        try:
            yield scorer
        finally:
            await scorer.close()

    def _examined(self, backend: str) -> VllmBackend:
        found = self._backends[backend]
        if isinstance(found, ReplicaPool):
            for replica in found.replicas:
                if replica.state is ReplicaState.READY:
                    return replica.backend
            raise BackendUnavailableError(
                f"no replica of the backend {backend!r} can be asked now; wait until one is ready",
                retry_after_s=RETRY_AFTER_S,
            )
        if not isinstance(found, VllmBackend):
            raise UnsupportedError(
                f"the backend {backend!r} is no vLLM, and adapters cannot be evaluated on it"
            )
        return found

    def _servers(self, backend: str) -> Sequence[Preparing]:
        found = self._backends[backend]
        if isinstance(found, ReplicaPool):
            return [one for one in found.replicas if one.state is not ReplicaState.DRAINING]
        if not isinstance(found, Preparing):
            raise UnsupportedError(
                f"the backend {backend!r} knows no adapter revisions; publish on one of kind vllm"
            )
        return [found]

    def _note(self, backend: str, revision: str, errors: Sequence[TameError | None]) -> None:
        """Keep the ledger of a single server, where the replicas of a pool keep their own."""
        if isinstance(self._backends[backend], ReplicaPool):
            return
        if errors[0] is None:
            self._single[backend].add(revision)
            return
        self._single[backend].discard(revision)
        if isinstance(errors[0], UnsupportedError):
            raise errors[0]


async def _prepare_all(
    servers: Sequence[Preparing], revision: str, deadline: float
) -> list[TameError | None]:
    """Prepare all at once; give each one's error, None where there is none."""
    errors: list[TameError | None] = [None] * len(servers)

    async def one(number: int, server: Preparing) -> None:
        try:
            await server.prepare(revision, deadline)
        except TameError as error:
            errors[number] = error
            log.event(
                logging.WARNING,
                "replica.revision_refused",
                replica=server.standing.name if isinstance(server, Replica) else "",
                revision=revision,
                because=error.message,
            )

    async with asyncio.TaskGroup() as group:
        for number, server in enumerate(servers):
            group.create_task(one(number, server))
    return errors


def _refused(prepared: Prepared) -> RolloutError:
    told = "; ".join(f"{name.replace('_', ' ')}: {why}" for name, why in prepared.refusals.items())
    return RolloutError(
        f"{prepared.ready} of {prepared.replicas} replicas of the backend {prepared.backend!r}"
        f" answered as {prepared.revision or 'the base model'!r} ({told}); nothing was changed:"
        " see to what they say, then publish again",
        metadata={
            "backend": prepared.backend,
            "revision": prepared.revision,
            **prepared.refusals,
        },
    )
