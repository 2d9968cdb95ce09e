"""What has arrived of an answer, and how the rest is asked for."""

from typing import Any

import pytest

from tame_router.backends.backend import Generation, Piece
from tame_router.backends.replicas.delivered import Delivered, continuable
from tame_router.chat import (
    FinishReason,
    Format,
    Message,
    ResponseFormat,
    Role,
    Sampling,
    Shape,
    Tool,
    Usage,
)


def asked(sampling: Sampling | None = None, **shape: Any) -> Generation:
    """Give a generation."""
    return Generation(
        revision="legal--0123456789abcdef",
        messages=(Message(role=Role.USER, content="?"),),
        sampling=sampling or Sampling(),
        request_id="r",
        shape=Shape(**shape),
    )


def piece(text: str, tokens: int, *marks: tuple[int, int]) -> Piece:
    """Give what one read brought, with its count of tokens."""
    usage = Usage(prompt_tokens=7, completion_tokens=tokens)
    return Piece(text=text, usage=usage, marks=marks or ((len(text), tokens),))


@pytest.mark.parametrize(
    ("shape", "sound"),
    [
        ({}, True),
        ({"response_format": ResponseFormat(format=Format.TEXT)}, True),
        ({"response_format": ResponseFormat(format=Format.JSON_OBJECT)}, False),
        ({"tools": (Tool(name="f"),)}, False),
        ({"choices": 2}, False),
        ({"top_logprobs": 0}, False),
    ],
    ids=str,
)
def test_what_can_go_on_elsewhere(shape: dict[str, Any], sound: bool) -> None:
    """Only a plain text of one choice can be gone on with soundly."""
    assert continuable(asked(**shape)) is sound


def test_the_rest_is_asked_for() -> None:
    """The text so far begins the assistant's turn; tokens that were written are not allowed again.

    White space at the end is left out and not handed out again, and its token is written again.
    """
    delivered = Delivered(asked(Sampling(max_tokens=10, seed=3, stop=("USER:",))))
    first = delivered.request()
    assert (first.sampling.stop, first.counted, first.continued) == ((), True, False)
    delivered.take(piece("甲乙 \n", 3, (1, 1), (2, 2), (4, 3)))
    rest = delivered.request()
    assert rest.messages[-1] == Message(role=Role.ASSISTANT, content="甲乙")
    assert (rest.sampling.max_tokens, rest.sampling.seed) == (8, 3)
    assert (rest.continued, rest.strict_max_tokens) == (True, False)
    shown = delivered.take(piece(" \n丙", 2, (2, 1), (3, 2)))
    assert shown is not None
    assert shown.text == "丙"
    assert delivered.usage == Usage(prompt_tokens=7, completion_tokens=4)


def test_half_a_character_is_written_again() -> None:
    """A token that brought no character yet does not count as delivered."""
    delivered = Delivered(asked(Sampling(max_tokens=10)))
    delivered.take(piece("甲", 3, (1, 1), (1, 2), (1, 3)))
    assert delivered.request().sampling.max_tokens == 9
    delivered.take(piece("乙", 3, (0, 1), (0, 2), (1, 3)))
    assert delivered.usage.completion_tokens == 4


def test_a_replica_that_goes_on_otherwise() -> None:
    """White space that does not come again is not waited for."""
    delivered = Delivered(asked())
    delivered.take(piece("甲 \n", 2))
    delivered.request()
    shown = delivered.take(piece(" 乙", 1))
    assert shown is not None
    assert shown.text == "乙"


def test_nothing_but_white_space_is_no_beginning() -> None:
    """It is asked anew, and what comes again is left out."""
    delivered = Delivered(asked())
    delivered.take(piece("\n", 1))
    assert not delivered.request().continued
    shown = delivered.take(piece("\n甲", 2))
    assert shown is not None
    assert shown.text == "甲"
    assert delivered.usage.completion_tokens == 2


def test_an_end_hands_out_what_was_held_back() -> None:
    """The beginning of a stop string that came to nothing belongs to the text."""
    delivered = Delivered(asked(Sampling(stop=("USER:",))))
    assert delivered.take(piece("US", 1)) is None
    shown = delivered.take(Piece(text="", finish_reason=FinishReason.STOP))
    assert shown == Piece(text="US", finish_reason=FinishReason.STOP)
    assert delivered.done
