"""Statuses: the codes of the error tree are gRPC's, and each has its place."""

import grpc
from google.rpc import code_pb2

from tame_router.api.grpc_status import STATUS_CODES, rich_status
from tame_router.canonical_code import Code
from tame_router.errors import InvalidRequestError


def test_every_code_has_a_status() -> None:
    """All seventeen canonical codes are there, under the same names and numbers."""
    assert {code.name for code in STATUS_CODES} == {status.name for status in grpc.StatusCode}
    assert all(STATUS_CODES[code].name == code.name for code in Code)
    assert {code.name: int(code) for code in Code} == dict(code_pb2.Code.items())


def test_a_field_is_named_only_where_there_is_one() -> None:
    """A request that is wrong as a whole has no BadRequest."""
    with_field = rich_status(InvalidRequestError("wrong", field="messages"), "id")
    assert [d.type_url.rsplit(".", 1)[-1] for d in with_field.details] == [
        "ErrorInfo",
        "BadRequest",
    ]
    assert len(rich_status(InvalidRequestError("wrong"), "id").details) == 1
