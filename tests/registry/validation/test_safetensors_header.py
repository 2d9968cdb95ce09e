"""The header's reader against the safetensors library's own, on files that nobody would write."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize

from tame_router.registry.validation.safetensors_header import (
    LENGTH_BYTES,
    HeaderError,
    TensorEntry,
    header_bytes,
    read_header,
)
from tests.registry.validation.upload import described, framed, numbers, packed, small_tensors

GOOD = packed(small_tensors())
SMALL = packed({"a": numbers(2), "b": numbers(1, 3, dtype="BF16"), "c": numbers(1)})
SIZES = st.integers(-2, 40) | st.sampled_from([2**31, 2**63, 2**64, 10**30])
VALUES = st.recursive(
    st.none() | st.booleans() | SIZES | st.floats() | st.text(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I8", "F64", "f32", ""]),
        "shape": st.lists(SIZES, max_size=3),
        "data_offsets": st.lists(SIZES, min_size=1, max_size=3),
    },
    optional={"more": VALUES},
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "__metadata__", "\ud800", "\0"]), ENTRIES | VALUES, max_size=4
)


def read(file: bytes) -> tuple[TensorEntry, ...]:
    """Read a whole file's header."""
    length = header_bytes(file[:LENGTH_BYTES], len(file))
    end = LENGTH_BYTES + length
    return read_header(file[LENGTH_BYTES:end], len(file) - end)


def library_reads(file: bytes) -> dict[str, dict[str, Any]]:
    """Read a whole file with the safetensors library."""
    return dict(deserialize(file))  # type: ignore[no-untyped-call]


def check_against_library(file: bytes) -> None:
    """Hold our reader to the library: what we take it takes, and reads the same."""
    try:
        entries = read(file)
    except HeaderError:
        return
    theirs = library_reads(file)
    ours = {entry.name: (entry.dtype, list(entry.shape)) for entry in entries}
    assert ours == {name: (t["dtype"], list(t["shape"])) for name, t in theirs.items()}
    start = len(file) - entries[-1].end
    for entry in entries:
        assert file[start + entry.begin : start + entry.end] == theirs[entry.name]["data"]


def test_a_good_file_is_read() -> None:
    """Each tensor has its name, kind, shape and place, in the order of the bytes."""
    first, second, third = read(SMALL)
    assert first == TensorEntry(name="a", dtype="F32", shape=(2,), begin=0, end=8)
    assert second == TensorEntry(name="b", dtype="BF16", shape=(1, 3), begin=8, end=14)
    assert third == TensorEntry(name="c", dtype="F32", shape=(1,), begin=14, end=18)
    check_against_library(GOOD)


@given(st.binary(max_size=64), st.binary(max_size=16))
def test_any_bytes(header: bytes, data: bytes) -> None:
    """Whatever the bytes, they are read as the library reads them, or refused."""
    check_against_library(framed(header, data))
    check_against_library(header + data)


@given(DOCUMENTS, st.integers(0, 32), st.sampled_from(["", " ", "\n", "  \0"]))
def test_any_document(document: dict[str, Any], data_bytes: int, behind: str) -> None:
    """Whatever JSON stands in the header, it is read as the library reads it, or refused."""
    header = (json.dumps(document) + behind).encode()
    check_against_library(framed(header, bytes(data_bytes)))


@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(SMALL)),
    st.binary(max_size=4),
)
def test_any_damage(damage: list[tuple[int, int]], cut: int, put: bytes) -> None:
    """A good file with changed, lost or added bytes is read as the library does, or refused."""
    file = bytearray(SMALL)
    for place, byte in damage:
        file[place] = byte
    check_against_library(bytes(file))
    check_against_library(bytes(file[:cut]))
    check_against_library(bytes(file[:cut]) + put + bytes(file[cut:]))


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
            lambda key: key != "__metadata__"
        ),
        st.tuples(
            st.sampled_from(["F32", "F16", "BF16"]),
            st.lists(st.integers(1, 3), max_size=3),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 9),
)
def test_what_is_right_is_taken(tensors: dict[str, tuple[str, list[int]]], padding: int) -> None:
    """Any well-formed file of the three kinds is taken, blanks behind its header too."""
    made = {key: numbers(*shape, dtype=dtype) for key, (dtype, shape) in tensors.items()}
    header = json.dumps(described(made)).encode() + b" " * padding
    file = framed(header, b"".join(tensor[2] for tensor in made.values()))
    assert {entry.name for entry in read(file)} == set(made)
    check_against_library(file)


def test_the_library_refuses_what_the_table_says() -> None:
    """The comparison compares: the library does refuse a gap, and so do we."""
    one = {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}
    file = framed(json.dumps({"a": one}).encode(), bytes(8))
    with pytest.raises(SafetensorError):
        library_reads(file)
    with pytest.raises(HeaderError):
        read(file)
