"""Whether what a router is made of has changed on disk; blocks, briefly."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

INTERVAL_S: Final = 2.0
"""Time between two looks; what changed is taken once it stood still for one."""

Signature = frozenset[tuple[str, int, int]]
"""Path, time of the last change in ns and size in bytes of every file."""


def signature(paths: tuple[Path, ...]) -> Signature:
    """Look at files, and at all that is in folders.

    What is not there, or goes while it is looked at, counts for nothing: it never raises.
    """
    return frozenset(filter(None, map(_mark, _files(paths))))


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        yield path
        for folder, _, names in os.walk(path):  # which passes over what it cannot read
            yield from (Path(folder, name) for name in names)


def _mark(file: Path) -> tuple[str, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return str(file), found.st_mtime_ns, found.st_size
