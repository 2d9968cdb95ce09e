"""Lengths of time, as gRPC callers receive them."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration


def fill_duration(proto: Duration, seconds: float) -> None:
    """Write a length of time into a message that is empty yet."""
    length = timedelta(seconds=seconds)
    if length.days:  # below zero too, where both parts have the same sign
        proto.FromTimedelta(length)
    else:
        proto.seconds, proto.nanos = length.seconds, length.microseconds * 1_000


def duration(seconds: float) -> Duration:
    """Write a length of time."""
    proto = Duration()
    fill_duration(proto, seconds)
    return proto
