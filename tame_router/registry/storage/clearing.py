"""Taking revisions out of a store, and then every content that none of the others needs.

What stays needs what its record says, or where it has none, what its manifest says: that is read
before anything is deleted, and what it needs must be known.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tame_router.errors import RevisionNotFoundError
from tame_router.errors_registry import CorruptRevisionError
from tame_router.registry.manifest import REVISION_NAME, Manifest
from tame_router.registry.storage.blobs import Blobs
from tame_router.registry.storage.revision_key import ages, content_key, document_key

MOST_NAMED: Final = 10
"""Revisions that a message names; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to go, and what is known of the rest.

    Attributes:
        going: Names of the revisions to remove.
        contents: SHA-256 of the files of each revision that is known, by its name; those of the
            others are in their manifests.
    """

    going: Set[str]
    contents: Mapping[str, Set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What went, or would go.

    Attributes:
        freed_bytes: Bytes set free.
        nameless: SHA-256 of contents that went, and that none of the revisions that went names.
        unread: Names of known revisions that stay, and whose manifests cannot be read.
        lost: The same of those whose manifests are not there.
    """

    freed_bytes: int = 0
    nameless: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


Choose = Callable[[Mapping[str, float]], Choice]
"""Chooses, told the age of each revision that is there in seconds. It is infinite where the
manifest cannot be read: however young it is, no replica will ever load it."""

Read = Callable[[str], Manifest]
"""Gives a manifest; raises `CorruptRevisionError` and `RevisionNotFoundError`."""


def clear(blobs: Blobs, read: Read, choose: Choose, *, dry_run: bool) -> Cleared:
    """Remove revisions, then every blob that none of the others needs.

    Args:
        blobs: Where they are; the caller keeps others from adding, where that can be done.
        read: Reads manifests.
        choose: Says which go.
        dry_run: Only tell; nothing is removed.

    Raises:
        TameError: What `choose` raises; nothing is removed then.
        CorruptRevisionError: When one stays that is not known, and whose manifest cannot be read;
            likewise.
    """
    manifests: dict[str, Manifest | None] = {}
    choice = choose(_there(blobs, read, manifests))
    going = {name for name in choice.going if REVISION_NAME.fullmatch(name)}
    # Looked at again: in a bucket more may have come meanwhile.
    there = _there(blobs, read, manifests).keys()
    known = choice.contents.keys() - going
    _require_read((there - going) - known, manifests)
    contents = {**_named(manifests), **choice.contents}
    needed = _together(contents, (there - going) | known)
    delete = (lambda _: None) if dry_run else blobs.delete
    for name in sorted(going):
        delete(document_key(name))
    old = (one for one in blobs.list("blobs") if one.age_s >= blobs.spare_s)
    keys = {content_key(sha256) for sha256 in needed}
    loose = [one for one in old if one.key not in keys]
    for one in loose:
        delete(one.key)
    went = _together(contents, going)
    return Cleared(
        freed_bytes=sum(one.size_bytes for one in loose),
        nameless=frozenset(one.key.rpartition("/")[2] for one in loose) - went,
        unread=frozenset(name for name in known & there if manifests[name] is None),
        lost=frozenset(known - there),
    )


def _named(manifests: Mapping[str, Manifest | None]) -> dict[str, Set[str]]:
    """Give the contents that manifests name."""
    return {
        name: {file.sha256 for file in manifest.files}
        for name, manifest in manifests.items()
        if manifest is not None
    }


def _together(contents: Mapping[str, Set[str]], names: Iterable[str]) -> set[str]:
    """Give all contents of some revisions."""
    return {sha256 for name in names for sha256 in contents.get(name, ())}


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
        " can be read there; upload these again, and look after the storage",
        metadata={"revision": broken[0]},
    )
