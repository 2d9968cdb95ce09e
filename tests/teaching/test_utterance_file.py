"""A line is added to teaching lines, and nothing else changes."""

import stat
import threading
from pathlib import Path

import pytest

from tame_router.teaching.utterance_file import append_utterance, utterance_file


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"# heading\none\n", b"# heading\none\ntwo \xe4\xba\x8c\n"),
        (b"one", b"one\ntwo \xe4\xba\x8c\n"),
        (b"", b"two \xe4\xba\x8c\n"),
        (None, b"two \xe4\xba\x8c\n"),
    ],
)
def test_a_line_comes_last_and_ends(tmp_path: Path, before: bytes | None, after: bytes) -> None:
    """Also where the last line had no end, and where there was no file."""
    path = utterance_file(tmp_path, "en")
    if before is not None:
        path.write_bytes(before)
        path.chmod(0o640)
    append_utterance(path, "two 二")
    assert path.read_bytes() == after
    assert stat.S_IMODE(path.stat().st_mode) == (0o644 if before is None else 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file that it leads to gets the line."""
    real = tmp_path / "real.txt"
    real.write_text("one\n")
    link = tmp_path / "link.txt"
    link.symlink_to(real)
    append_utterance(link, "two")
    assert link.is_symlink()
    assert real.read_text() == "one\ntwo\n"


def test_lines_added_at_once_are_all_there(tmp_path: Path) -> None:
    """Nobody's line is lost to another's."""
    path = utterance_file(tmp_path, "en")
    words = [f"line {number}" for number in range(8)]
    threads = [threading.Thread(target=append_utterance, args=(path, word)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().splitlines()) == words
