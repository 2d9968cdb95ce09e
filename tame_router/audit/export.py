"""The form of an export: chain after chain, each between where it begins and its head.

```
{"chain":"…","digest":"…","kind":"chain","seq":0}     what stands before its first record
{…,"chain":"…","kind":"open","previous":"…","seq":1}  its records, as they were chained
{"chain":"…","digest":"…","kind":"head","seq":9}      how far it has come
```
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tame_router.audit.chain import Head, Link, Seen
from tame_router.audit.entry import line_time, utc_text
from tame_router.canonical_json import ascii_line

CHAIN, HEAD = "chain", "head"
"""Kinds of the lines around a chain's records."""


def chain_lines(start: Head, links: Iterable[Link], head: Head) -> Iterator[str]:
    """Give the lines of one chain, without newlines.

    Args:
        start: What stands before its first record: nothing, or what pruning has left.
        links: Its records in order.
        head: How far it has come.
    """
    yield mark(CHAIN, start)
    for found in links:
        yield found.line
    yield mark(HEAD, head)


def mark(kind: str, head: Head) -> str:
    """Give the line before or after a chain's records."""
    return ascii_line(_mark(kind, head))


def seen_line(seen: Seen) -> str:
    """Give the line by which a place in a chain is kept elsewhere."""
    latest = "" if seen.latest is None else utc_text(seen.latest)
    return ascii_line({**_mark(HEAD, seen.head), "latest": latest})


def read_seen(line: str) -> Seen:
    """Read what `seen_line` wrote.

    Raises:
        ValueError: When it is something else.
        KeyError: As above.
        TypeError: As above.
    """
    value = json.loads(line)
    head = Head(chain=str(value["chain"]), seq=int(value["seq"]), digest=str(value["digest"]))
    latest = value["latest"]
    return Seen(head=head, latest=line_time({"begin_time": latest}) if latest else None)


def _mark(kind: str, head: Head) -> dict[str, Any]:
    return {"kind": kind, "chain": head.chain, "seq": head.seq, "digest": head.digest}
