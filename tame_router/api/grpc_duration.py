"""Lengths of time, as gRPC callers receive them."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

_DAY_S = 86_400
_SECOND_US = 1_000_000


def fill_duration(proto: Duration, seconds: float) -> None:
    """Write a length of time into a message that is empty yet."""
    if 0 <= seconds < _DAY_S:
        whole = int(seconds)
        rest_us = round((seconds - whole) * 1e6)
        if rest_us < _SECOND_US:
            proto.seconds, proto.nanos = whole, rest_us * 1_000
            return
    # Below zero both parts have the same sign.
    proto.FromTimedelta(timedelta(seconds=seconds))


def duration(seconds: float) -> Duration:
    """Write a length of time."""
    proto = Duration()
    fill_duration(proto, seconds)
    return proto
