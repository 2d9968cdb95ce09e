"""What makes a few tokens an answer of the revision that was asked."""

import json
from typing import Any

import pytest

from tame_router.backends.vllm.revision_probe import TOKENS, check_probe, encode_probe
from tame_router.errors import BackendFailedError, BackendProtocolError, StreamBrokenError
from tests.fakes import vllm_wire as wire

NAME = "legal--00000000000000aa"


def body(*words: str, logprob: Any = -0.5, model: str = NAME) -> bytes:
    """Write a whole answer."""
    chunks = []
    for word in words:
        numbers = {"content": [{"token": word, "logprob": logprob, "bytes": None}]}
        chunks.append({"index": 0, "delta": {"content": word}, "logprobs": numbers})
    chunks.append({"index": 0, "delta": {"content": ""}, "finish_reason": "length"})
    events = [{"model": model, "choices": [chunk]} for chunk in chunks]
    return b"".join(wire.event(event) for event in events) + wire.DONE


def test_the_likeliest_tokens_are_asked_for() -> None:
    """No end before them, so that an adapter which likes to be brief still says something."""
    asked = json.loads(encode_probe(NAME))
    assert asked["model"] == NAME
    assert asked["temperature"] == 0
    assert asked["min_tokens"] == asked["max_tokens"] == TOKENS
    assert asked["logprobs"] is True


@pytest.mark.parametrize("words", [("依", "《"), ("\ufffd", "\ufffd", "a"), (" ",), ("\n", "\n")])
def test_any_text_will_do(words: tuple[str, ...]) -> None:
    """What it says is the gate's business; a part of a character may come along."""
    check_probe(NAME, body(*words))


@pytest.mark.parametrize("words", [(), ("",), ("\ufffd", "\ufffd")])
def test_no_text_will_not(words: tuple[str, ...]) -> None:
    """Nothing, or parts of characters alone, is no answer."""
    with pytest.raises(BackendProtocolError, match="without words"):
        check_probe(NAME, body(*words))


@pytest.mark.parametrize("logprob", [None, float("nan"), float("inf"), "low"])
def test_numbers_that_are_none(logprob: Any) -> None:
    """However a server writes them, they are broken weights."""
    with pytest.raises(BackendProtocolError):
        check_probe(NAME, body("a", logprob=logprob))


@pytest.mark.parametrize("model", ["", "base", "legal--00000000000000ab"])
def test_another_name(model: str) -> None:
    """Every event must be of the revision that was asked."""
    with pytest.raises(BackendProtocolError, match="answered as") as caught:
        check_probe(NAME, body("a", model=model))
    assert caught.value.metadata["answered_as"] == model


def test_an_answer_that_is_cut() -> None:
    """An end without a reason, or no event at all, is no answer."""
    whole = body("a", "b")
    for cut in (b"", whole[: whole.index(b"finish_reason") - 80], b"data: [DONE]\n\n"):
        with pytest.raises(StreamBrokenError):
            check_probe(NAME, cut)


def test_an_error_in_the_stream_is_the_servers() -> None:
    """It is told as what it is."""
    error = wire.event(wire.error_document(500, "out of memory"))
    with pytest.raises(BackendFailedError):
        check_probe(NAME, error)
