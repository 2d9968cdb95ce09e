"""Whether what a router is made of has changed on disk; blocks, briefly."""

import stat
from pathlib import Path
from typing import Final

INTERVAL_S: Final = 2.0
"""Time between two looks; what changed is taken once it stood still for one."""

Signature = frozenset[tuple[str, int, int]]
"""Path, time of the last change in ns and size in bytes of every file."""


def signature(paths: tuple[Path, ...]) -> Signature:
    """Look at files, and at all that is in folders; what is not there counts for nothing."""
    files = (file for path in paths for file in (path, *path.rglob("*")))
    return frozenset(filter(None, map(_mark, files)))


def _mark(file: Path) -> tuple[str, int, int] | None:
    try:
        found = file.stat()
    except OSError:  # removed since it was listed
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return str(file), found.st_mtime_ns, found.st_size
