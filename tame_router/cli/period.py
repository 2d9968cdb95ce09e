"""Lengths and ends of time on the command line."""

import argparse
import re
from datetime import UTC, date, datetime, timedelta

_PERIOD = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def period(text: str) -> timedelta:
    """Read a length of time: `30m`, `12h`, `90d`, `2w`.

    Raises:
        ArgumentTypeError: When it is none.
    """
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text[:32]!r} is no length of time; expected 30m, 12h, 90d or 2w for instance"
        )
    return int(found[1]) * _UNITS[found[2]]


def end(text: str) -> timedelta | datetime:
    """Read when something ends: a length of time from now, or the day with which it begins, UTC.

    Raises:
        ArgumentTypeError: When it is neither.
    """
    if _PERIOD.fullmatch(text):
        return period(text)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:32]!r} is no end; expected 90d or a day such as 2027-06-30"
        ) from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def moment(ending: timedelta | datetime | None, now: datetime) -> datetime | None:
    """Give the time of an end; None: there is none."""
    return now + ending if isinstance(ending, timedelta) else ending
