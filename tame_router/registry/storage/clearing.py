"""Taking revisions out of a store, and then every content that none of the others needs.

All manifests are read before anything is deleted: what one of them needs that cannot be read is
not known, and must not go.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from typing import Final

from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import CorruptRevisionError
from tame_router.registry.manifest import REVISION_NAME, Manifest
from tame_router.registry.storage.blobs import Blobs
from tame_router.registry.storage.revision_key import ages, blob_key, document_key

MOST_NAMED: Final = 10
"""Revisions that a message names; the rest are counted."""

Choose = Callable[[Mapping[str, float]], Iterable[str]]
"""Gives the revisions to remove, told the age of each that is there in seconds. It is infinite
where the manifest cannot be read: however young it is, no replica will ever load it."""

Read = Callable[[str], Manifest]
"""Gives a manifest; raises `CorruptRevisionError` and `RevisionNotFoundError`."""


def clear(blobs: Blobs, read: Read, choose: Choose, *, dry_run: bool) -> int:
    """Remove revisions, then every blob that no manifest names any more: give bytes freed.

    Args:
        blobs: Where they are; the caller keeps others from adding, where that can be done.
        read: Reads manifests.
        choose: Says which go.
        dry_run: Only count the bytes; nothing is removed.

    Raises:
        TameError: What `choose` raises; nothing is removed then.
        CorruptRevisionError: When the manifest of one that stays cannot be read; likewise.
    """
    manifests: dict[str, Manifest | None] = {}
    there = _there(blobs, read, manifests)
    going = {name for name in choose(there) if REVISION_NAME.fullmatch(name)}
    # Looked at again: in a bucket more may have come meanwhile.
    staying = _there(blobs, read, manifests).keys() - going
    _require_read(staying, manifests)
    needed = {
        blob_key(file)
        for name in staying
        if (manifest := manifests[name]) is not None
        for file in manifest.files
    }
    delete = (lambda _: None) if dry_run else blobs.delete
    for name in sorted(going):
        delete(document_key(name))
    old = (one for one in blobs.list("blobs") if one.age_s >= blobs.spare_s)
    loose = [one for one in old if one.key not in needed]
    for one in loose:
        delete(one.key)
    return sum(one.size_bytes for one in loose)


def _there(blobs: Blobs, read: Read, manifests: dict[str, Manifest | None]) -> dict[str, float]:
    """Give the age of all that is there, and read the manifests that were not read yet.

    Args:
        blobs: Where they are.
        read: Reads manifests.
        manifests: By name, those that were read, or None: added to.
    """
    found = {}
    for name, age_s in sorted(ages(blobs)):
        with suppress(RevisionNotFoundError):  # in a bucket, somebody else has just removed it
            if name not in manifests:
                try:
                    manifests[name] = read(name)
                except CorruptRevisionError:
                    manifests[name] = None
            found[name] = math.inf if manifests[name] is None else age_s
    return found


def _require_read(staying: Set[str], manifests: Mapping[str, Manifest | None]) -> None:
    broken = sorted(name for name in staying if manifests[name] is None)
    if not broken:
        return
    named = ", ".join(broken[:MOST_NAMED])
    more = f" and {len(broken) - MOST_NAMED} more" if len(broken) > MOST_NAMED else ""
    raise CorruptRevisionError(
        f"nothing is removed, as it is not known which bytes belong to {named}{more}: no manifest"
        " can be read there, though records name them; upload these again, and look after the"
        " storage",
        metadata={"revision": broken[0]},
    )
