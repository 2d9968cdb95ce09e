"""Whether a revision may answer, by its record, and what is said where it may not. Pure."""

from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.record import RevisionRecord
from tame_router.registry.state import State


def unknown_revision(name: str) -> RevisionNotFoundError:
    """Give what is said where there is no revision of a name, or none that the caller may see."""
    return RevisionNotFoundError(
        f"there is no revision {name[:80]!r}; `tame adapter list` or ListAdapterRevisions tells"
        " which there are",
        metadata={"revision": name[:80]},
    )


def folder_revision(name: str, expert: str, *, live: bool) -> RevisionNotFoundError:
    """Give what is said of a revision that nobody uploaded: it came with its expert's folder.

    Args:
        name: The revision.
        expert: Whose folder.
        live: Whether it is live now.
    """
    reached = (
        "it is live now"
        if live
        else f"`tame adapter rollback {expert} --revision {name}` lets it answer again"
    )
    return RevisionNotFoundError(
        f"{name} was not uploaded: it came with the folder of the expert {expert!r}, so there is"
        f" nothing to show, evaluate, publish or retire; {reached}",
        metadata={"revision": name},
    )


def rejection(record: RevisionRecord) -> RevisionRefusedError:
    """Give what is said of a revision that was rejected."""
    return _refusal(record, "was rejected; `tame adapter show` or GetAdapterRevision tells why")


def require_kept(record: RevisionRecord) -> None:
    """Refuse a revision whose time is over, whatever it was judged to be.

    Raises:
        RevisionRefusedError: When it was withdrawn, or its bytes were removed.
    """
    if record.withdrawn:
        raise _refusal(record, "was withdrawn; upload another instead")
    if record.removed:
        raise _refusal(record, "is old, and its bytes were removed; upload it instead")


def require_usable(record: RevisionRecord) -> None:
    """Refuse a revision that may not answer.

    Raises:
        RevisionRefusedError: When it was rejected, withdrawn, or its bytes were removed.
    """
    if record.state is State.REJECTED:
        raise rejection(record)
    require_kept(record)


def _refusal(record: RevisionRecord, why: str) -> RevisionRefusedError:
    return RevisionRefusedError(
        f"the revision {record.name} {why}",
        metadata={"revision": record.name, "state": str(record.state)},
    )
