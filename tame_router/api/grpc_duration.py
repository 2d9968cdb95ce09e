"""Lengths of time, as gRPC callers receive them."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration


def duration(seconds: float) -> Duration:
    """Write a length of time."""
    proto = Duration()
    proto.FromTimedelta(timedelta(seconds=seconds))
    return proto
