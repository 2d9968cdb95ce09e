"""Going back: an earlier revision answers again, at once where replicas still have it."""

from dataclasses import dataclass

from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import LabelMovedError, NothingToRestoreError
from tame_router.registry.record import Actor, Label
from tame_router.registry.records.access import Records
from tame_router.registry.rollout.label_mover import (
    Check,
    LabelMover,
    call_of,
    require_same,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What is to be taken back.

    Attributes:
        expert: Whose label.
        revision: What is to answer again; empty: what did before, or, where there is a canary,
            the live revision alone.
        request_id: Names the call, so that it can be sent again; empty: nothing does.
        because: Why; may be empty.
        canary: Only where this is the canary now; empty: in any case.
    """

    expert: str
    revision: str = ""
    request_id: str = ""
    because: str = ""
    canary: str = ""


class Restorer:
    """Moves labels back.

    Args:
        records: The records.
        mover: Prepares replicas, and lets a moved label count.
        check: Makes sure of a revision before a replica loads it; raises `RegistryError`.
        glance: Makes sure of the signature of one that replicas have; likewise.
    """

    def __init__(self, records: Records, mover: LabelMover, check: Check, glance: Check) -> None:
        self._records = records
        self._mover = mover
        self._check = check
        self._glance = glance

    async def rollback(self, wanted: Rollback, actor: Actor) -> Label:
        """Let an earlier revision answer again.

        Raises:
            NothingToRestoreError: When there is none.
            RevisionNotFoundError: When the one that is named was never live.
            RevisionRefusedError: When it was rejected, withdrawn or removed, or its signature
                does not count any more.
            LabelMovedError: When another router moved the label meanwhile, or the canary that is
                to end is none any more.
            RolloutError: When it is not loaded any more, and too few replicas load it.
            CorruptRevisionError: When it is not loaded any more, and its bytes are not what they
                were.
            InvalidRequestError: When another call had its `request_id`.
        """
        # Not under the lock of publications: one that waits for a replica must not keep this
        # waiting. Who of the two moves the label first is settled by its generation.
        label = await self._records.ask(lambda store: store.label(wanted.expert))
        call = call_of(actor, "rollback", wanted.request_id)
        done = await self._records.ask(lambda store: store.done(call))
        if done is not None:
            same = done.expert == wanted.expert and wanted.revision in {"", done.live}
            require_same(wanted.request_id, same=same)
            return done
        _require_canary(label, wanted.canary)
        target = await self._target(wanted, label)
        # What answers already goes on, whatever it is: the end of a canary waits for nothing.
        if target != label.live:
            await self._ready(wanted.expert, target)
        own = self._mover.own(wanted.expert)
        because = wanted.because or "a rollback was asked for"
        return await self._mover.move(
            lambda s: s.rollback(
                wanted.expert, target, own, label.generation, actor, because, call=call
            )
        )

    async def _ready(self, expert: str, target: str) -> None:
        """Look at a revision; where replicas have let go of it, have them load it again."""
        loaded = self._mover.loaded(expert, target)
        record = await self._records.ask(lambda store: store.get(target, with_report=False))
        if record is not None:  # one from the expert's folder is none of the store's
            await (self._glance if loaded else self._check)(record)
        if not loaded:
            await self._mover.prepare(expert, target)

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
        if name == self._mover.own(wanted.expert):
            return name
        record = await self._records.ask(lambda store: store.get(name, with_report=False))
        if record is not None and record.expert == wanted.expert:
            # Wherever it stands, also while it is judged again: the history says what has answered.
            await self._records.ask(lambda s: s.check_restorable(wanted.expert, name))
            return name
        raise RevisionNotFoundError(
            f"{name[:80]!r} has never answered for expert {wanted.expert!r};"
            " ListLabelHistory tells what did, and PublishAdapterRevision publishes a new one",
            metadata={"expert": wanted.expert, "revision": name[:80]},
        )


def _require_canary(label: Label, canary: str) -> None:
    if canary and label.canary != canary:
        raise LabelMovedError(
            f"{canary} is no canary of {label.expert!r} any more: somebody has moved the label",
            metadata={"expert": label.expert, "generation": str(label.generation)},
        )
