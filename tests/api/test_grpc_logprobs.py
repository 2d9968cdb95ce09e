"""Log-probabilities on their way from OpenAI's JSON to the SDK's values."""

import json

import pytest

from tame_router.answering import event as inside
from tame_router.api.grpc_logprobs import write_logprobs
from tame_router.api.grpc_response import write_event
from tame_router.client.event import Delta, TokenLogprob
from tame_router.client.reading import read_event
from tame_router.errors import BackendProtocolError

TOKENS = [
    {
        "token": "押",
        "logprob": -0.25,
        "bytes": list("押".encode()),
        "top_logprobs": [
            {"token": "押", "logprob": -0.25, "bytes": list("押".encode())},
            {"token": "租", "logprob": -9999.0, "bytes": None},
        ],
        "of_a_later_version": 1,
    },
    {"token": "�", "logprob": -1, "bytes": [0xE9, 0x87], "top_logprobs": []},
]


def told(token: str, logprob: float, raw: bytes = b"", *others: TokenLogprob) -> TokenLogprob:
    """Give what the SDK tells of a token."""
    return TokenLogprob(token=token, logprob=logprob, raw=raw, top_logprobs=others)


def test_probabilities_arrive() -> None:
    """Token, probability, bytes and alternatives are the same on the other side."""
    delta = inside.Delta(
        expert="legal", revision="", text="押", logprobs=json.dumps(TOKENS).encode()
    )
    read = read_event(write_event(delta))
    assert isinstance(read, Delta)
    assert read.logprobs == (
        told("押", -0.25, "押".encode(), told("押", -0.25, "押".encode()), told("租", -9999.0)),
        told("�", -1, b"\xe9\x87"),
    )


def test_none_is_none() -> None:
    """Without probabilities there is nothing to write."""
    assert write_logprobs(b"") == []


@pytest.mark.parametrize(
    "text",
    [b"{}", b"[1]", b"[{}]", b'[{"token":"a","logprob":"b"}]', b"\xff", b"[",
     b'[{"token":"a","logprob":0,"bytes":[256]}]'],
)  # fmt: skip
def test_what_is_no_list_of_tokens_is_the_backends_fault(text: bytes) -> None:
    """Something else is told as such, and never crashes."""
    with pytest.raises(BackendProtocolError, match="no list of tokens"):
        write_logprobs(text)
