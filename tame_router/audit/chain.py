"""The chain of records: each line holds the digest of the one before. Pure, no store, no clock.

A chain belongs to one run of one router, so that routers on one database never wait for
each other. The digest of a line is the SHA-256 of its bytes as they are stored and exported.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tame_router.canonical_json import ascii_line

NOTHING = "0" * 64
"""What the first record of a chain names as the digest of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How far a chain has come.

    Attributes:
        chain: Names the chain.
        seq: Number of its last record, from 1; 0: it has none yet.
        digest: SHA-256 of that record's line, hexadecimal.
    """

    chain: str
    seq: int = 0
    digest: str = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A place in a chain that was seen, and kept where nobody who writes the chain can write.

    Attributes:
        head: The place.
        latest: The latest time of the records up to it, UTC; None: no record was there.
    """

    head: Head
    latest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A record in its place.

    Attributes:
        chain: Names the chain.
        seq: Its number, from 1.
        line: The record as canonical JSON, ASCII, without a newline.
    """

    chain: str
    seq: int
    line: str


def line_digest(line: str) -> str:
    """Give the SHA-256 of a line, hexadecimal."""
    return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


def link(head: Head, contents: Iterable[Mapping[str, Any]]) -> tuple[list[Link], Head]:
    """Put records behind a chain's head, and give the new head.

    Args:
        head: How far the chain has come.
        contents: JSON values; they may not have `chain`, `seq` and `previous` themselves.
    """
    links: list[Link] = []
    seq, previous = head.seq, head.digest
    for content in contents:
        seq += 1
        line = ascii_line({**content, "chain": head.chain, "seq": seq, "previous": previous})
        links.append(Link(chain=head.chain, seq=seq, line=line))
        previous = line_digest(line)
    return links, Head(chain=head.chain, seq=seq, digest=previous)
