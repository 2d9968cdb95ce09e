"""Going back: an earlier revision answers again, at once where replicas still have it."""

from dataclasses import dataclass

from tame_router.errors import NothingToRestoreError, RevisionNotFoundError
from tame_router.registry.label_mover import LabelMover, require_kept
from tame_router.registry.record import Actor, Call, Label
from tame_router.registry.records import Records
from tame_router.registry.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What is to be taken back.

    Attributes:
        expert: Whose label.
        revision: What is to answer again; empty: what did before, or, where there is a canary,
            the live revision alone.
        request_id: Names the call, so that it can be sent again; empty: nothing does.
        because: Why; may be empty.
    """

    expert: str
    revision: str = ""
    request_id: str = ""
    because: str = ""


class Restorer:
    """Moves labels back.

    Args:
        records: The records.
        mover: Prepares replicas, and lets a moved label count.
    """

    def __init__(self, records: Records, mover: LabelMover) -> None:
        self._records = records
        self._mover = mover

    async def rollback(self, wanted: Rollback, actor: Actor) -> Label:
        """Let an earlier revision answer again.

        Raises:
            NothingToRestoreError: When there is none.
            RevisionNotFoundError: When the one that is named was never live.
            RevisionRefusedError: When it was withdrawn or removed.
            LabelMovedError: When another router moved the label meanwhile.
            RolloutError: When it is not loaded any more, and too few replicas load it.
        """
        async with self._mover.alone(wanted.expert):
            call = _call(wanted, actor)
            label = await self._records.ask(lambda store: store.label(wanted.expert))
            if await self._done(call):
                return label
            target = await self._target(wanted, label)
            if not self._mover.loaded(wanted.expert, target):
                await self._mover.prepare(wanted.expert, target)
            own = self._mover.own(wanted.expert)
            because = wanted.because or "a rollback was asked for"
            generation = label.generation
            moved = await self._records.ask(
                lambda store: store.rollback(
                    wanted.expert, target, own, generation, actor, because, call=call
                )
            )
            await self._mover.moved(moved, "rollback", actor)
            return moved

    async def _done(self, call: Call | None) -> bool:
        """Tell whether the same call has moved the label before."""
        if call is None:
            return False
        tenant, method, request_id = call.tenant, call.method, call.request_id
        kept = await self._records.ask(lambda s: s.recall(tenant, method, request_id))
        return kept is not None

    async def _target(self, wanted: Rollback, label: Label) -> str:
        """Tell what is to answer again; empty: the base model without adapter."""
        if wanted.revision:
            return await self._named(wanted)
        if label.canary:
            return label.live
        previous = await self._records.ask(lambda store: store.previous(wanted.expert))
        if previous is None:
            raise NothingToRestoreError(
                f"expert {wanted.expert!r} has had no other revision to go back to;"
                " ListLabelHistory tells what answered when",
                metadata={"expert": wanted.expert},
            )
        return previous

    async def _named(self, wanted: Rollback) -> str:
        """Give the revision that the caller names, where it has answered before."""
        name = wanted.revision
        record = await self._records.ask(lambda store: store.get(name, with_report=False))
        if record is not None and record.expert == wanted.expert:
            require_kept(record)
            if record.state in {State.RETIRED, State.ACTIVE}:
                return name
        if name == self._mover.own(wanted.expert):
            return name
        raise RevisionNotFoundError(
            f"{name[:80]!r} has never answered for expert {wanted.expert!r};"
            " ListLabelHistory tells what did, and PublishAdapterRevision publishes a new one",
            metadata={"expert": wanted.expert, "revision": name[:80]},
        )


def _call(wanted: Rollback, actor: Actor) -> Call | None:
    """Name a call, so that it goes back once however often it is sent; None: it has no id."""
    if not wanted.request_id:
        return None
    method = f"rollback {wanted.expert} {wanted.revision}".rstrip()
    return Call(tenant=actor.tenant, method=method, request_id=wanted.request_id)
