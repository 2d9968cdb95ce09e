"""Publishing: make every replica ready, then move the label.

Nothing a caller sees changes until the label moves, and that is one transaction. What is
under way then finishes on the revision that was live when it was admitted.
"""

import asyncio
import contextlib
import json
import math
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tame_router.errors import InvalidRequestError
from tame_router.errors_registry import (
    InvalidTransitionError,
    LabelMovedError,
    RevisionRefusedError,
)
from tame_router.registry.domain.domain import founds
from tame_router.registry.jobs.lease import extended
from tame_router.registry.manifest import REVISION_NAME
from tame_router.registry.record import (
    ROUTER,
    Actor,
    Call,
    Job,
    JobKind,
    Label,
    Mode,
    RevisionRecord,
)
from tame_router.registry.records.access import Records
from tame_router.registry.request import Publication, Published
from tame_router.registry.rollout.label_mover import (
    Check,
    LabelMover,
    call_of,
    require_same,
)
from tame_router.registry.state import Event, State
from tame_router.registry.usable import require_usable, unknown_revision

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore


class Publisher:
    """Publishes revisions.

    Args:
        records: The records.
        mover: Prepares replicas, and lets a moved label count.
        check: Makes sure of a revision before a replica loads it; raises `RegistryError`.
        owner: Names this process among those that share the records.
        lease_s: Time after which a publication counts as broken off when this process dies.
    """

    def __init__(
        self, records: Records, mover: LabelMover, check: Check, *, owner: str, lease_s: float
    ) -> None:
        self._records = records
        self._mover = mover
        self._check = check
        self._owner = owner
        self._lease_s = lease_s

    async def publish(self, wanted: Publication, actor: Actor, because: str = "") -> Published:
        """Let a revision answer, once every replica does under its name.

        Args:
            wanted: Which, and how.
            actor: Who wants it.
            because: Why, for the history; empty: it was asked for.

        Raises:
            RevisionNotFoundError: When there is no such revision.
            RevisionRefusedError: When it was refused, withdrawn or removed.
            InvalidTransitionError: When it is not approved yet, or is being published.
            LabelMovedError: When the label is not where the caller saw it.
            RolloutError: When too few replicas loaded it; nothing has changed.
            CorruptRevisionError: When its bytes are not what they were.
            InvalidRequestError: When another call had its `request_id`, or it makes an expert and
                is to be a canary.
        """
        call = call_of(actor, "publish", wanted.request_id)
        match = REVISION_NAME.fullmatch(wanted.name)
        if match is None:
            raise unknown_revision(wanted.name)
        expert = match["expert"]
        async with self._mover.alone(expert):
            # Read under the lock: what waited for another publication sees what that has done.
            record = await self._known(wanted.name)
            label = await self._records.ask(lambda store: store.label(expert))
            done = await self._records.ask(lambda store: store.done(call))
            if done is not None:
                require_same(wanted.request_id, same=_stands(done, wanted))
                return Published(label=done, record=record)
            require_usable(record)
            if _stands(label, wanted):
                await self._note(call, label)
                return Published(label=label, record=record)
            _require_generation(label, wanted.expected_generation)
            self._require_place(record, wanted)
            async with self._attempt(record, actor):
                await self._check(record)
                before = label.live if label.generation else self._mover.own(expert)
                self._mover.prepare_way_back(expert, before)
                await self._mover.prepare(expert, record.name)
                moved = await self._move(record, label, wanted, actor, call, because)
        found = await self._records.ask(lambda store: store.get(record.name, with_report=False))
        return Published(label=moved, record=found or record)

    async def go_on(self, canary: str, because: str) -> None:
        """Let a canary answer all, where it still is one.

        Args:
            canary: Name of the revision.
            because: Why, for the history.

        Raises:
            TameError: As `publish` does.
        """
        record = await self._known(canary)
        label = await self._records.ask(lambda store: store.label(record.expert))
        if label.canary == canary:  # and if it moves meanwhile, nothing is done either
            wanted = Publication(name=canary, expected_generation=label.generation)
            await self.publish(wanted, ROUTER, because)

    async def prove(self, shadow: str, because: str) -> None:
        """Note that a shadow was found good; it is asked no more.

        Args:
            shadow: Name of the revision.
            because: What was found, for the history.

        Raises:
            TameError: When the records cannot be written, or it is no shadow any more.
        """
        expert = (await self._known(shadow)).expert
        await self._mover.move(lambda store: store.prove(expert, shadow, because))

    async def _note(self, call: Call | None, label: Label) -> None:
        """Note a call that found nothing to do: sent again, it finds the same."""
        if call is not None:
            tenant, method, request_id = call.tenant, call.method, call.request_id
            outcome = json.dumps({"expert": label.expert, "generation": label.generation})
            await self._records.ask(lambda s: s.remember(tenant, method, request_id, outcome))

    async def _known(self, name: str) -> RevisionRecord:
        return await self._records.ask(lambda store: store.need(name))

    def _require_place(self, record: RevisionRecord, wanted: Publication) -> None:
        """Make sure that there is an expert, or that the revision makes it: for all callers."""
        if self._mover.known(record.expert):
            return
        if not founds(record):
            raise RevisionRefusedError(
                f"there is no expert {record.expert!r} here for which {record.name} could answer",
                metadata={"revision": record.name},
            )
        if wanted.canary_share is not None:
            raise InvalidRequestError(
                f"{record.name} makes the expert {record.expert!r}, so there is nothing that could"
                " answer beside it; publish it without a canary's or a shadow's share",
                field="shadow_share" if wanted.shadow else "canary_share",
            )

    @contextlib.asynccontextmanager
    async def _attempt(self, record: RevisionRecord, actor: Actor) -> AsyncIterator[None]:
        """Hold a revision as being published; when that fails nothing has changed."""
        name = record.name
        if record.state is State.ACTIVE:  # a canary that becomes live: it stays what it is
            yield
            return
        job = Job(
            job_id=f"publish-{uuid.uuid4().hex}",
            kind=JobKind.PUBLISH,
            revision=name,
            actor=actor,
            owner=self._owner,
            lease_time=datetime.now(UTC) + timedelta(seconds=self._lease_s),
        )
        begun = False
        broken_off = ""

        def begin(store: "RecordStore") -> None:
            nonlocal begun
            store.happen(name, Event.PUBLISH, actor, "publication was asked for")
            begun = True  # said by the thread: a caller that leaves meanwhile is not told any more

        def end(store: "RecordStore") -> None:
            """Take the revision back where that is due, and only then end the job."""
            if broken_off:
                # A caller that left just when the label moved has published.
                with contextlib.suppress(InvalidTransitionError):
                    store.happen(name, Event.ABORTED, ROUTER, broken_off)
            store.finish(job.job_id)

        # The job first: a publication without one would be nobody's after a crash.
        await self._records.ask(lambda store: store.add_job(job))
        try:
            await self._records.ask(begin)
            async with extended(self._records, job.job_id, self._owner, self._lease_s):
                yield
        except BaseException as error:
            if begun:
                broken_off = getattr(error, "message", "") or "it was broken off"
            raise
        finally:
            # Where the service ends meanwhile, the next one finds the job and clears up.
            await asyncio.shield(self._records.ask(end))

    async def _move(
        self,
        record: RevisionRecord,
        label: Label,
        wanted: Publication,
        actor: Actor,
        call: Call | None,
        because: str,
    ) -> Label:
        own = self._mover.own(record.expert)
        share, shadow = wanted.canary_share, wanted.shadow
        because = because or _said(share, shadow=shadow)
        generation = label.generation
        return await self._mover.move(
            lambda s: s.publish(
                record.name, share, own, generation, actor, because, call=call, shadow=shadow
            )
        )


def _stands(label: Label, wanted: Publication) -> bool:
    """Tell whether a label says already what is wanted: a call that is sent again."""
    if wanted.canary_share is None:
        return label.live == wanted.name and not label.canary
    same_share = math.isclose(label.canary_share, wanted.canary_share)
    mode = Mode.SHADOW if wanted.shadow else Mode.ANSWERING
    return (label.canary, label.mode) == (wanted.name, mode) and same_share


def _said(share: float | None, *, shadow: bool) -> str:
    """Say what was published, for the history."""
    if share is None:
        return "published"
    conversations = f"{share * 100:.15g}% of the conversations"
    return (
        f"published as a shadow of {conversations}" if shadow else f"published to {conversations}"
    )


def _require_generation(label: Label, expected: int | None) -> None:
    if expected is not None and label.generation != expected:
        raise LabelMovedError(
            f"the label of {label.expert!r} is in generation {label.generation}, not {expected}:"
            " somebody has moved it; look at it again, then decide",
            metadata={"expert": label.expert, "generation": str(label.generation)},
        )
