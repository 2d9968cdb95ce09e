"""An adapter's folder on this machine: told as an upload would be, and checked like one."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.checker import Checker
from tame_router.registry.validation.file_rules import shown

PIECE_BYTES = 2**20
"""Bytes that are read and checked at once."""


def list_folder(folder: Path) -> tuple[list[Path], list[Finding]]:
    """List a folder's files, and refuse what is no plain file; links are not followed.

    Raises:
        OSError: When it cannot be read.
    """
    files: list[Path] = []
    findings: list[Finding] = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        relative = path.relative_to(folder).as_posix()
        if stat.S_ISREG(mode):
            files.append(path)
        elif not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "no plain file"
            message = f"{shown(relative)} is {kind}"
            findings.append(found(Reason.PATH_UNSAFE, message, relative[:255]))
    return files, findings


def check_folder(checker: Checker, expert: str, folder: Path) -> list[Finding]:
    """Check all files of a folder, as if they were uploaded.

    Reads every byte twice, in pieces; it blocks, so it belongs in a thread.

    Args:
        checker: A fresh one.
        expert: The expert that the adapter is for.
        folder: The folder.

    Raises:
        OSError: When it cannot be read.
    """
    paths, findings = list_folder(folder)
    entries = [_entry(path, folder) for path in paths]
    findings += checker.announced(expert, entries)
    if any(finding.fatal for finding in findings):
        return findings
    for path, entry in zip(paths, entries, strict=True):
        for piece in _pieces(path):
            findings += checker.feed(entry.path, piece)
    return findings + checker.finished()


def _entry(path: Path, folder: Path) -> FileEntry:
    digest = hashlib.sha256()
    size = 0
    for piece in _pieces(path):
        digest.update(piece)
        size += len(piece)
    relative = path.relative_to(folder).as_posix()
    return FileEntry(path=relative, size_bytes=size, sha256=digest.hexdigest())


def _pieces(path: Path) -> Iterator[bytes]:
    # Between the look and this, a file could have become a link, or a pipe that never ends.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
