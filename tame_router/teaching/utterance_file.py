"""Add a line to an expert's teaching lines, so that a crash leaves all of it or nothing."""

import stat
from pathlib import Path

from tame_router.durable_file import MODE, flush_folder, locked, replace_file


def utterance_file(folder: Path, language: str) -> Path:
    """Give the file of an expert's lines in a language.

    Args:
        folder: The expert's.
        language: `zh-TW` or `en`.
    """
    return folder / f"utterances.{language}.txt"


def append_utterance(path: Path, text: str) -> None:
    """Put a line behind the others; the file is made where it does not exist.

    Its permissions stay, a link stays a link, and lines that other processes add by this
    function at the same time stay too.

    Args:
        path: A file of teaching lines, in UTF-8.
        text: The line, without line breaks.

    Raises:
        OSError: When the file cannot be read or written; it is as it was.
    """
    path = path.resolve()
    with locked(path.parent):
        try:
            before, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            before, mode = b"", MODE
        if before and not before.endswith(b"\n"):
            before += b"\n"
        replace_file(path, before + text.encode() + b"\n", mode=mode)
        flush_folder(path.parent)
