"""Structured logs: one line an event, JSON in production, readable on a terminal.

Built on the standard `logging`, so that libraries' warnings end in the same stream.
Facts travel as `extra={"facts": {…}}`; the text of a question is never among them
unless the setting `log.texts` asks for it.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from tame_router.config import LogSettings

LOGGER = logging.getLogger("tame_router")
_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logs to a stream, standard error by default, in the form the settings ask for."""
    stream = stream or sys.stderr
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ConsoleFormatter(colour=stream.isatty()) if console else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(settings.level.upper())


def event(level: int, name: str, **facts: Any) -> None:
    """Log one event.

    Args:
        level: A level of `logging`.
        name: What happened, `noun.verb`: `answer.finished`.
        facts: What is known about it; values that JSON can hold.
    """
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, name, extra={"facts": facts})


def _facts(record: logging.LogRecord) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = getattr(record, "facts", {})
    return facts


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        line = json.dumps(document, ensure_ascii=False, default=str)
        # What callers send may hold line ends that JSON leaves as they are, and half characters.
        return line if line.isprintable() else json.dumps(document, default=str)


def _shown(value: object) -> str:
    """Write a fact on one line, without what a terminal would obey."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


class ConsoleFormatter(logging.Formatter):
    """Time, level, event and `key=value` facts."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        level = record.levelname.lower()
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        facts = " ".join(f"{key}={_shown(value)}" for key, value in _facts(record).items())
        line = f"{time} {level} {record.getMessage()} {facts}".rstrip()
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line
