"""Events that are read in one go give what they give when they are read one by one."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tame_router.backends.backend import Piece
from tame_router.backends.openai.chat_decoder import ChatDecoder
from tame_router.backends.openai.wire import decode_chunk, decode_plain
from tame_router.chat import FinishReason, Shape
from tame_router.errors import TameError
from tests.fakes import vllm_wire as wire
from tests.fakes.generations import generation

TOKENS = ("依", "《勞動基準法》", " §24", '"', "\\", "🩺\n", "", "}", '"}, "', "\x7f")


def plain(word: str, tokens: Any = 1, **more: Any) -> dict[str, Any]:
    """Write a document of words and a count, as nearly all are."""
    choice = {"index": 0, "delta": {"content": word}, "logprobs": None, "finish_reason": None}
    usage = {"prompt_tokens": 9, "total_tokens": 9, "completion_tokens": tokens}
    return {"id": "c", "choices": [choice], "usage": usage, **more}


def odd(**more: Any) -> dict[str, Any]:
    """Write a document whose choice is something else."""
    document = plain("x")
    document["choices"][0].update(more)
    return document


ODD = (
    wire.event(plain("乙", None)),
    wire.event(plain("乙", usage=None)),
    wire.event(plain("乙", choices=[])),
    wire.event(plain("乙", choices=plain("a")["choices"] * 2)),
    wire.event(plain("乙", error={"message": "m", "code": 503})),
    wire.event(plain("乙", error="m")),
    wire.event(plain("乙", "many")),
    wire.event(odd(index=1)),
    wire.event(odd(index=True)),
    wire.event(odd(delta={})),
    wire.event(odd(delta={"content": None})),
    wire.event(odd(delta={"content": "x", "tool_calls": []})),
    wire.event(odd(delta={"tool_calls": [{"index": 0, "id": "i", "function": {"name": "f"}}]})),
    wire.event(odd(logprobs={"content": [{"token": "x"}]})),
    wire.event(odd(finish_reason="stop")),
    wire.event(odd(finish_reason="abort")),
    wire.event(odd(finish_reason="")),
    wire.event(odd(finish_reason="?")),
    wire.DONE,
    b": keep-alive\n\n",
    b"id: 1\n",
    b"data: {}\n\n",
    b"data: \n\n",
    b"data: {} {}\n\n",
    b"data: {},{}\n\n",
    wire.event(plain("乙"))[:-2] + wire.event(plain("丙"))[5:],
    b"data: {}\ndata: {}\n\n",
    b'data: {"choices":\ndata: []}\n\n',
    b'data: {"choices":[]\n\n',
    b'data: ,"usage":null}\n\n',
    b'data: {"error":"\xff"}\n\n',
    wire.event(plain("乙")).replace(b"\n", b"\r\n"),
    wire.event(plain("乙")).replace(b", ", b",\ndata: "),
    wire.event(plain("乙")).replace(b"\xe4", b"\x07"),
    wire.event(plain("乙"))[:-4],
)
RUNS = st.lists(st.sampled_from(TOKENS), max_size=24).map(
    lambda words: b"".join([wire.event(plain(word, at)) for at, word in enumerate(words)])
)
ANSWERS = st.lists(st.sampled_from(TOKENS), max_size=24).map(
    lambda words: b"".join(wire.answer_events("m", tuple(words), prompt_tokens=9, counted=True))
)
STREAMS = st.lists(st.one_of(ANSWERS, RUNS, st.sampled_from(ODD)), max_size=6).map(b"".join)


def read(parts: list[bytes], *, counted: bool, choices: int, one_by_one: bool) -> list[Any]:
    """Give all that a decoder says of what each read brings."""
    asked = replace(generation(shape=Shape(choices=choices)), counted=counted)
    decoder = ChatDecoder(asked)
    said: list[Any] = []
    for part in parts:
        pieces: list[Piece] = []
        if one_by_one:
            decoder._plain = False
        pieces += decoder.feed(part)
        said.append((pieces, told(decoder.failure), decoder.done, decoder.finished))
        if decoder.failure or decoder.done:
            return said
    decoder.end()
    return [*said, told(decoder.failure)]


def told(error: TameError | None) -> tuple[type, str] | None:
    """Give what an error says."""
    return None if error is None else (type(error), error.message)


@given(STREAMS, st.lists(st.integers(0, 9000), max_size=6), st.booleans(), st.integers(1, 2))
def test_many_events_are_read_as_one_by_one(
    stream: bytes, places: list[int], counted: bool, choices: int
) -> None:
    """Pieces, usage, marks and errors do not depend on how many events are read in one go."""
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    parts = [stream[a:b] for a, b in pairwise(edges)]
    one, many = (
        read(parts, counted=counted, choices=choices, one_by_one=way) for way in (True, False)
    )
    assert many == one


@given(st.lists(st.sampled_from([event[6:-2] for event in ODD]) | RUNS.map(lambda run: run[6:-2])))
def test_what_is_read_in_one_go_is_what_each_says(payloads: list[bytes]) -> None:
    """Where all are plain, each of them is; a value never goes on in the next payload."""
    for payload, chunk in zip(payloads, decode_plain(payloads) or [], strict=False):
        whole = decode_chunk(payload)
        assert chunk.usage == whole.usage
        assert [one.delta.content for one in whole.choices] == [chunk.choices[0].delta.content]


def test_a_value_over_two_payloads_is_none() -> None:
    """Halves of a value, with a payload of two lines beside them, are no plain events."""
    whole = wire.event(plain("甲"))[6:-2]
    half = whole.index(b", ") + 1
    assert decode_plain([whole, whole]) is not None
    assert decode_plain([whole[:half], whole[half:]]) is None
    assert decode_plain([whole + b"\n" + whole, whole[:half], whole[half:]]) is None


def test_two_values_in_a_payload_are_none() -> None:
    """Whatever else is missing, so that there are as many values as payloads all the same."""
    whole = wire.event(plain("甲"))[6:-2]
    object_at, after = whole.index(b'{"index"'), whole.index(b', "usage"')
    for two in (whole + whole, whole + b" " + whole):
        assert decode_plain([two, b"", whole]) is None
        assert decode_plain([whole, b" ", two]) is None
        for at in (after, after + 1, object_at):
            assert decode_plain([two, whole[:at], whole[at:]]) is None


def test_a_burst_has_a_mark_for_each_event() -> None:
    """After so many characters, so many tokens, over all the reads."""
    asked = replace(generation(), counted=True)
    words = tuple(f"w{at}" for at in range(20))
    events = wire.answer_events("m", words, prompt_tokens=9, counted=True)
    decoder = ChatDecoder(asked)
    first = decoder.feed(b"".join(events[:11]))
    last = decoder.feed(b"".join(events[11:]))
    ends = [(sum(map(len, words[:at])), at) for at in range(21)]
    assert [*first[0].marks, *last[0].marks] == [*ends, ends[-1], ends[-1]]
    assert last[0].finish_reason is FinishReason.STOP
    assert decoder.failure is None
