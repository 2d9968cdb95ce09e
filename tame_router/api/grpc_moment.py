"""Points in time as protobuf writes them."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def write_moment(moment: datetime | None) -> Timestamp | None:
    """Write a time; None: there is none."""
    if moment is None:
        return None
    proto = Timestamp()
    proto.FromDatetime(moment)
    return proto
