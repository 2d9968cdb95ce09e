"""Structured logs: one line an event, JSON in production, readable on a terminal.

Built on the standard `logging`, so that libraries' warnings end in the same stream.
Facts travel as `extra={"facts": {…}}`; the text of a question is never among them
unless the setting `log.texts` asks for it.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec

from tame_router.config import LogSettings

LOGGER = logging.getLogger("tame_router")
_ROOT = logging.getLogger()
_ENCODE = msgspec.json.Encoder(enc_hook=str).encode
_DELETE = "\x7f"
"""The one character of ASCII that is not printable and that JSON leaves as it is."""
_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logs to a stream, standard error by default, in the form the settings ask for."""
    stream = stream or sys.stderr
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    handler: logging.Handler = JsonHandler(stream)
    if console:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(ConsoleFormatter(colour=stream.isatty()))
    _ROOT.handlers[:] = [handler]
    _ROOT.setLevel(logging.WARNING)
    LOGGER.setLevel(settings.level.upper())


def event(level: int, name: str, **facts: Any) -> None:
    """Log one event.

    Args:
        level: A level of `logging`.
        name: What happened, `noun.verb`: `answer.finished`.
        facts: What is known about it; values that JSON can hold.
    """
    if not LOGGER.isEnabledFor(level):
        return
    handlers = _ROOT.handlers
    if len(handlers) == 1 and isinstance(handlers[0], JsonHandler):
        handlers[0].write(level, name, facts)
    else:
        LOGGER.log(level, name, extra={"facts": facts})


def _facts(record: logging.LogRecord) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = getattr(record, "facts", {})
    return facts


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        document = _document(record.created, record.levelno, record.name, record.getMessage())
        document.update(_facts(record))
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return _line(document)


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes one JSON object a line; events of ours without a record of `logging` between.

    Such a record costs more than the line, and every answer leaves one.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())

    def write(self, level: int, name: str, facts: Mapping[str, Any]) -> None:
        """Write an event."""
        try:
            document = _document(time.time(), level, LOGGER.name, name)
            document.update(facts)
            line = _line(document) + self.terminator
            with self.lock or nullcontext():
                self.stream.write(line)
                self.stream.flush()
        except Exception:  # as `logging` does: a log that cannot be written stops nobody
            made = LOGGER.makeRecord(LOGGER.name, level, __file__, 0, name, (), None)
            self.handleError(made)


def _document(moment: float, level: int, logger: str, name: str) -> dict[str, Any]:
    """Begin a line."""
    second, rest_us = divmod(round(moment * 1e6), 1_000_000)
    return {
        "time": f"{_second(second)}.{rest_us // 1000:03}+00:00",
        "level": _level(level),
        "logger": logger,
        "event": name,
    }


@lru_cache(maxsize=2)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()[:19]


@lru_cache(maxsize=16)
def _level(level: int) -> str:
    return logging.getLevelName(level).lower()


def _line(document: Mapping[str, Any]) -> str:
    try:
        line = msgspec.json.format(_ENCODE(document), indent=0).decode()
        # What callers send may hold line ends that JSON leaves as they are; none is in ASCII.
        if (line.isascii() and _DELETE not in line) or line.isprintable():
            return line
    except (TypeError, ValueError):  # half characters, keys that are no text
        pass
    return json.dumps(document, default=str)


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
