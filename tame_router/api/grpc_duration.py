"""Lengths of time, as gRPC callers receive them."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration


def duration(seconds: float) -> Duration:
    """Write a length of time."""
    length = timedelta(seconds=seconds)
    if length.days:  # below zero too, where both parts have the same sign
        proto = Duration()
        proto.FromTimedelta(length)
        return proto
    return Duration(seconds=length.seconds, nanos=length.microseconds * 1_000)
