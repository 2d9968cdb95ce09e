"""Where a label is to be when a revision is published. Pure."""

from dataclasses import replace

from tame_router.errors_registry import InvalidTransitionError
from tame_router.registry.record import Action, Label, Mode, RevisionRecord

_ACTIONS = {Mode.ANSWERING: Action.CANARY, Mode.SHADOW: Action.SHADOW}


def published(
    record: RevisionRecord, live: str, canary: str, canary_share: float | None, *, shadow: bool
) -> Label:
    """Say where the label is to be.

    Args:
        record: The revision.
        live: What is live; empty: the base model.
        canary: What is tried beside it now; empty: nothing is.
        canary_share: Share of the conversations that it is tried on; None: it answers all.
        shadow: It answers copies alone.

    Raises:
        InvalidTransitionError: When it is live, and wanted as a canary or a shadow.
    """
    if canary_share is None:
        return Label(expert=record.expert, live=record.name)
    if live == record.name:
        raise InvalidTransitionError(
            f"{live} is live already, so it cannot be tried as a"
            f" {'shadow' if shadow else 'canary'} beside itself; "
            + (
                f"{canary} is tried beside it, and a rollback ends that"
                if canary
                else "nothing is tried beside it now, and another revision can be"
            ),
            metadata={"revision": live},
        )
    return Label(
        expert=record.expert,
        live=live,
        canary=record.name,
        canary_share=canary_share,
        mode=Mode.SHADOW if shadow else Mode.ANSWERING,
    )


def action_of(moved: Label) -> Action:
    """Name the move that takes a label to where a publication puts it."""
    return _ACTIONS[moved.mode] if moved.canary else Action.PUBLISH


def same(one: Label, other: Label) -> bool:
    """Tell whether two labels say the same, whenever they began to."""
    return replace(one, generation=0, update_time=None) == replace(
        other, generation=0, update_time=None
    )
