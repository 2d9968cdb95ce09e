"""The log: one line an event, in two forms, with facts and without questions."""

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tame_router.config import LogSettings
from tame_router.telemetry import log


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    """Leave the log as it was."""
    root, own = logging.getLogger(), log.LOGGER
    before = (list(root.handlers), root.level, own.level)
    yield
    root.handlers[:], root.level, own.level = before


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def logging_to(form: str, level: str = "info", stream: io.StringIO | None = None) -> io.StringIO:
    """Send the log to a stream."""
    stream = stream or io.StringIO()
    log.configure(LogSettings.model_validate({"format": form, "level": level}), stream)
    return stream


def test_json_is_one_object_a_line() -> None:
    """Time with zone, level, logger, event and facts, readable by machines."""
    stream = logging_to("json")
    log.event(logging.INFO, "answer.finished", expert="legal", title="法律", ttft_ms=None)
    log.event(logging.WARNING, "call.failed", path=re.compile("x"))
    first, second = map(json.loads, stream.getvalue().splitlines())
    age = datetime.now(UTC) - datetime.fromisoformat(first.pop("time"))
    assert abs(age.total_seconds()) < 60
    assert first == {
        "level": "info",
        "logger": "tame_router",
        "event": "answer.finished",
        "expert": "legal",
        "title": "法律",
        "ttft_ms": None,
    }
    assert second["path"] == "re.compile('x')"
    assert "法律" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("sent", ["a\nb", "a\x1b[31m", "a\x85b", "a\u2028b", "a\x9b31m", "a\ud800"])
def test_what_callers_send_writes_no_line_of_its_own(form: str, sent: str) -> None:
    """A path with a line end, a terminal's command or half a character stays one plain line."""
    stream = logging_to(form)
    log.event(logging.INFO, "call.failed", method=sent)
    line = stream.getvalue().removesuffix("\n")
    assert line.isprintable()
    assert len(line.splitlines()) == 1


def test_the_console_form_is_for_people() -> None:
    """Time, level, event and facts; colours only on a terminal."""
    stream = logging_to("console")
    log.event(logging.INFO, "server.started", address="127.0.0.1:5", experts=3)
    log.event(logging.INFO, "server.stopped")
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d info server\.started address=127\.0\.0\.1:5 experts=3", first
    )
    assert re.fullmatch(r"\d\d:\d\d:\d\d info server\.stopped", second)
    terminal = logging_to("console", stream=Terminal())
    log.event(logging.ERROR, "call.crashed")
    assert "\x1b[31merror\x1b[0m call.crashed" in terminal.getvalue()


def test_the_form_follows_the_stream() -> None:
    """With `auto` people on a terminal get the one form, programs the other."""
    terminal = logging_to("auto", stream=Terminal())
    log.event(logging.INFO, "x.y")
    pipe = logging_to("auto")
    log.event(logging.INFO, "x.y")
    assert "\x1b[" in terminal.getvalue()
    assert json.loads(pipe.getvalue())["event"] == "x.y"


def test_standard_error_is_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream the log goes to what is standard error now."""
    log.configure(LogSettings(format="json"))
    log.event(logging.INFO, "x.y")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "x.y"


@pytest.mark.parametrize(
    ("level", "expected"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)]
)
def test_what_is_below_the_level_is_left_out(level: str, expected: int) -> None:
    """Only events of the level and above are written."""
    stream = logging_to("json", level)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING):
        log.event(number, "x.y")
    assert len(stream.getvalue().splitlines()) == expected


@pytest.mark.parametrize("rest", [0.0, 0.001, 0.0019996, 0.5, 0.999, 0.9999996])
def test_a_line_tells_its_time_to_the_millisecond(rest: float) -> None:
    """As ISO 8601 writes it, in the next second too where rounding makes it full."""
    stream, moment = logging_to("json"), 1_700_000_000 + rest
    for created in (moment, moment, moment + 1):
        record = logging.makeLogRecord({"name": "x", "msg": "x.y", "created": created})
        logging.getLogger().handlers[0].handle(record)
        expected = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
        assert json.loads(stream.getvalue().splitlines()[-1])["time"] == expected


def crash() -> None:
    """Raise what nobody expected."""
    raise ZeroDivisionError("of a test")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_stack_trace_stays_with_its_event(form: str) -> None:
    """A crash is written with the event; in JSON on the same line."""
    stream = logging_to(form)
    try:
        crash()
    except ZeroDivisionError:
        log.LOGGER.exception("call.crashed", extra={"facts": {"method": "Chat"}})
    lines = stream.getvalue().splitlines()
    if form == "json":
        (line,) = lines
        assert "ZeroDivisionError: of a test" in json.loads(line)["exception"]
    else:
        assert "call.crashed method=Chat" in lines[0]
        assert lines[-1] == "ZeroDivisionError: of a test"


def test_libraries_are_heard_from_warnings_on() -> None:
    """A library's warning ends in the same stream and form; its chatter does not."""
    stream = logging_to("json", "debug")
    logging.getLogger("aiohttp.client").info("chatter")
    logging.getLogger("aiohttp.client").warning("trouble with %s", "a socket")
    document: dict[str, Any] = json.loads(stream.getvalue())
    assert document["event"] == "trouble with a socket"
    assert document["logger"] == "aiohttp.client"


def test_configuring_twice_writes_once() -> None:
    """The last configuration holds, alone."""
    first, second = logging_to("json"), logging_to("json")
    log.event(logging.INFO, "x.y")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
