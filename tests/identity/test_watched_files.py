"""Files that change: seen within a second, and never for the worse."""

import logging
from pathlib import Path

import pytest

from tame_router.errors import ConfigError
from tame_router.identity.watched_files import LOOK_S, WatchedFiles
from tame_router.telemetry import log


class Number:
    """Reads a number, and counts how often."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads = 0

    def __call__(self) -> int:
        """Read it."""
        self.reads += 1
        try:
            return int(self.path.read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path}: {error}") from error


def test_a_change_is_seen_and_a_broken_file_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is read twice; what cannot be used is logged once and leaves the old in force."""
    caplog.set_level(logging.INFO, log.LOGGER.name)
    now = [0.0]
    read = Number(tmp_path / "number")
    read.path.write_text("1")
    watched = WatchedFiles((read.path,), read, lambda: now[0])
    read.path.write_text("22")
    assert (watched.current(), read.reads) == (1, 1)
    seen = []
    for text in ("22", "broken", "broken", "", "333"):
        now[0] += LOOK_S
        if text:
            read.path.write_text(text)
        else:
            read.path.unlink()
        seen += [watched.current(), watched.current()]
    assert seen == [22, 22, 22, 22, 22, 22, 22, 22, 333, 333]
    events = [record.message for record in caplog.records]
    assert events[0] == "files.reloaded"
    assert events[-1] == "files.reloaded"
    assert set(events[1:-1]) == {"files.refused"}


def test_a_file_that_is_wrong_at_first_stops_the_start(tmp_path: Path) -> None:
    """Without an old content there is nothing to go on with."""
    with pytest.raises(ConfigError):
        WatchedFiles((tmp_path / "none",), Number(tmp_path / "none"))
