"""JSON bodies grown from valid ones: swapped, nested, huge, doubled, cut and spliced, not UTF-8.

A body is a tree in which an object is a list of pairs, so that a key can stand in it twice,
and a leaf may be bytes that JSON does not allow.
"""

import json
import re
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from bench.fuzzing.mangling import mangled
from bench.fuzzing.service import QUESTION
from tame_router.api.http_endpoints import document

DEEPEST = 3_000
LONGEST = 2**20
"""Bytes of a drawn body; who sends more than the service reads is `bench/abuse.py`'s."""


@dataclass(slots=True)
class Object:
    """An object, whose keys may stand in it twice."""

    pairs: list[tuple[str, Any]]


@dataclass(slots=True)
class Token:
    """Bytes in the place of a value."""

    data: bytes


_USER = {"role": "user", "content": QUESTION}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
_TOOL = {
    "type": "function",
    "function": {"name": "look_up", "description": "d", "parameters": _SCHEMA, "strict": True},
}
_CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
SEEDS: tuple[dict[str, Any], ...] = (
    {"model": "tame-auto", "messages": [_USER], "max_tokens": 4},
    {
        "model": "legal",
        "messages": [{"role": "system", "content": "short"}, _USER],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 4,
        "stop": ["。", "\n"],
        "seed": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "presence_penalty": -1,
        "frequency_penalty": 1.5,
        "user": "u",
        "metadata": {"k": "v"},
    },
    {
        "model": "tame-auto",
        "messages": [
            _USER,
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "4"}]},
        ],
        "tools": [_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
        "parallel_tool_calls": False,
    },
    {
        "model": "tame-auto",
        "messages": [_USER],
        "n": 3,
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": _SCHEMA, "strict": True},
        },
        "documents": ["text", {"text": "t", "title": "n", "source": "s"}],
        "tame": {"experts": ["legal", "general"], "deny": ["medical"], "join": "single"},
        "store": False,
    },
)


def _names(schema: Any) -> set[str]:
    """Collect the names of the fields that a schema knows."""
    if isinstance(schema, list):
        return set().union(*map(_names, schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties")
    found = set(own) if isinstance(own, dict) else set()
    return found.union(*map(_names, schema.values()))


NAMES = sorted(_names(json.loads(document())["components"]["schemas"]))
"""Every field of the HTTP surface."""

WORDS = (
    *("tame-auto", "legal", "legal@0123456789abcdef", "nobody", "user", "assistant", "tool"),
    *("system", "developer", "text", "json_object", "json_schema", "none", "auto", "required"),
    *("function", "look_up", "c1", "single", "image_url", "", " ", "\x00", "\u2028", "😀" * 70),
)

_BAD_TOKENS = (
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"0x10", b"01", b"1.", b"9" * 400, b"1e-400"),
    *(b"1" + b"0" * 5_000, b"-9223372036854775809", b"18446744073709551616", b"0.1e+309"),
    *(rb'"\ud800"', rb'"\udfff\ud800"', rb'"\u00"', rb'"\x"', b'"\xff\xfe"', b'"\xed\xa0\x80"'),
    *(b'"\xc0\x80"', b"'a'", b"undefined", b"//", b'"\n"', b'"' + b"\xe2\x82" * 9 + b'"', b""),
)


def _nested(depth: int, opening: bytes, closing: bytes, core: bytes) -> Token:
    return Token(opening * depth + core + closing * depth)


_texts = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=40),
    st.text(st.characters(codec=None), max_size=8),  # lone surrogates too
    st.integers(1, 7_000).map(lambda n: "押" * n),
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 1, -1, 16, 17, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1]),
    st.floats(),
    _texts,
    st.sampled_from(_BAD_TOKENS).map(Token),
    st.builds(
        _nested,
        st.integers(1, DEEPEST),
        st.sampled_from([b"[", b'{"a":', b'[{"content":']),
        st.sampled_from([b"]", b"}", b"}]"]),
        st.sampled_from([b"", b"1", b'"x"']),
    ),
)
_values = st.recursive(
    _scalars,
    lambda below: st.one_of(
        st.lists(below, max_size=4),
        st.lists(st.tuples(st.sampled_from(NAMES) | _texts, below), max_size=4).map(Object),
    ),
    max_leaves=8,
)


def grown(value: Any) -> Any:
    """Make a tree of a value, its objects lists of pairs."""
    if isinstance(value, dict):
        return Object([(key, grown(below)) for key, below in value.items()])
    return [grown(below) for below in value] if isinstance(value, list) else value


def _places(tree: Any) -> list[tuple[list[Any], int]]:
    """Find every place of a tree that a value stands in: its list, and where in it."""
    found: list[tuple[list[Any], int]] = []
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        inside = one.pairs if isinstance(one, Object) else one if isinstance(one, list) else []
        found += [(inside, at) for at in range(len(inside))]
        waiting += [each[1] if isinstance(one, Object) else each for each in inside]
    return found


def _mutate(draw: st.DrawFn, tree: Any) -> None:
    """Change one place of a tree."""
    places = _places(tree)
    if not places:
        return
    inside, at = places[draw(st.integers(0, len(places) - 1))]
    old = inside[at]
    keyed = isinstance(old, tuple)
    match draw(st.sampled_from(["replace", "delete", "double", "add", "splice", "wrap"])):
        case "replace":
            new = draw(_values)
            inside[at] = (old[0], new) if keyed else new
        case "delete":
            del inside[at]
        case "double":
            inside.extend([old] * draw(st.sampled_from([1, 2, 20, 130])))
        case "add":
            new = draw(_values)
            inside.append((draw(st.sampled_from(NAMES)), new) if keyed else new)
        case "splice":
            other = _places(grown(draw(st.sampled_from(SEEDS))))
            there, which = other[draw(st.integers(0, len(other) - 1))]
            value = there[which][1] if isinstance(there[which], tuple) else there[which]
            inside[at] = (old[0], value) if keyed else value
        case "wrap":
            inside[at] = (old[0], [old[1]]) if keyed else [old]


def encode(tree: Any) -> bytes:
    """Write a tree."""
    if isinstance(tree, Object):
        pairs = (encode(key) + b":" + encode(value) for key, value in tree.pairs)
        return b"{" + b",".join(pairs) + b"}"
    if isinstance(tree, list):
        return b"[" + b",".join(map(encode, tree)) + b"]"
    if isinstance(tree, Token):
        return tree.data
    if isinstance(tree, str) and tree.isprintable():
        return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return json.dumps(tree).encode()


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a body: a valid one, changed in up to five places."""
    tree = grown(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 5))):
        _mutate(draw, tree)
    return encode(tree)[:LONGEST]


_VALUES = (
    *(b"null", b"true", b"false", b"0", b"1", b"2", b"-1", b"0.5", b'""', b"[]", b"{}", b'["a"]'),
    *(json.dumps(word).encode() for word in WORDS),
)
PIECES = (
    *(*_BAD_TOKENS, *_VALUES, b'"', b"{", b"}", b"[", b"]", b":", b","),
    *(b"\\", b"\x00", b"\xef\xbb\xbf", b"[" * 200, b'{"a":' * 200),
    *(json.dumps(name).encode() + b":" for name in NAMES),
)
"""What may stand at any place of a body."""

_SCALAR = re.compile(rb'(?<=[:,\[])(?:"[^"\\]*"|-?[0-9.]+|null|true|false)(?=[,}\]])')


def varied(body: bytes, random: Random) -> bytes:
    """Change a body's bytes: a value for another, or whatever stands there."""
    places = list(_SCALAR.finditer(body)) if random.random() < 0.7 else []
    if not places:
        return mangled(body, random, PIECES)
    place = random.choice(places)
    return body[: place.start()] + random.choice(_VALUES) + body[place.end() :]
