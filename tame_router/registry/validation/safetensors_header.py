"""The header of a safetensors file, read as if somebody wanted to harm the reader. Pure.

Everything that it takes, the safetensors library takes too; it refuses more: other kinds of
numbers, unknown keys, empty tensors.

Source: https://github.com/huggingface/safetensors#format
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.validation.file_rules import WEIGHTS, shown

LENGTH_BYTES: Final = 8
"""The header's length stands before it, little-endian."""

MOST_HEADER_BYTES: Final = 2 * 2**20
"""A tensor takes about 130 bytes of it. Parsed, the worst 2 MiB take some 75 MB."""

MOST_TENSORS: Final = 10_000
"""An 80-layer base model has 1,120 with all linear layers adapted."""

DTYPE_BYTES: Final = {"F32": 4, "F16": 2, "BF16": 2}
"""Kinds of numbers that are taken, with the bytes of one."""

_MOST_DIMENSIONS = 4
_LONGEST_NAME = 512
_LONGEST_NUMBER = 20
_KEYS = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """A tensor, as the header describes it.

    Attributes:
        name: Its name.
        dtype: Kind of its numbers, a key of `DTYPE_BYTES`.
        shape: Its dimensions, each ≥ 1; empty: one number.
        begin: Its first byte, counted from the end of the header.
        end: The byte behind its last.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class HeaderError(ValueError):
    """The header cannot be taken; `finding` says why. Never leaves `validation`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.finding: Finding = found(reason, message, WEIGHTS)


def header_bytes(prefix: bytes, file_bytes: int) -> int:
    """Read the length of the header.

    Args:
        prefix: The first 8 bytes of the file, fewer where it has fewer.
        file_bytes: Size of the file.

    Raises:
        HeaderError: When no header of that length can follow.
    """
    if len(prefix) < LENGTH_BYTES:
        raise HeaderError(
            Reason.HEADER_TRUNCATED, f"{WEIGHTS} has {len(prefix)} bytes; a header's length has 8"
        )
    length = int.from_bytes(prefix, "little")
    if length > MOST_HEADER_BYTES:
        raise HeaderError(
            Reason.HEADER_TOO_LARGE,
            f"the header says it has {length:,} bytes; at most {MOST_HEADER_BYTES:,} are read",
        )
    if length > file_bytes - LENGTH_BYTES:
        raise HeaderError(
            Reason.HEADER_TRUNCATED,
            f"the header says it has {length:,} bytes, and the file has {file_bytes:,}",
        )
    return length


def read_header(header: bytes, data_bytes: int) -> tuple[TensorEntry, ...]:
    """Read a header.

    Args:
        header: Its bytes, without the length before it.
        data_bytes: Bytes of the file behind it.

    Returns:
        The tensors in the order of their bytes; together they are all of the data.

    Raises:
        HeaderError: When anything about it is wrong.
    """
    document = _parse(header)
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise HeaderError(Reason.HEADER_MALFORMED, "`__metadata__` must hold texts alone")
    if not document:
        raise HeaderError(Reason.NO_TENSORS, "the header names no tensor")
    if len(document) > MOST_TENSORS:
        raise HeaderError(
            Reason.TOO_MANY_TENSORS, f"{len(document):,} tensors; at most {MOST_TENSORS:,}"
        )
    entries = [_entry(name, described, data_bytes) for name, described in document.items()]
    entries.sort(key=lambda entry: entry.begin)
    _check_tiling(entries, data_bytes)
    return tuple(entries)


def _parse(header: bytes) -> dict[str, Any]:
    # The library wants the brace at once; so no BOM, no blank, no other document.
    if not header.startswith(b"{"):
        raise HeaderError(Reason.HEADER_NOT_JSON, "the header does not begin with {")
    try:
        parsed = json.loads(
            header.decode(),
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=_fraction,
        )
        # Half a surrogate pair is JSON to Python, and to no other reader.
        json.dumps(parsed, ensure_ascii=False).encode()
    except HeaderError:
        raise
    except RecursionError as error:
        raise HeaderError(Reason.HEADER_MALFORMED, "the header nests too deep") from error
    except ValueError as error:
        raise HeaderError(
            Reason.HEADER_NOT_JSON, f"the header is not JSON: {str(error)[:200]}"
        ) from error
    made: dict[str, Any] = parsed  # what begins with a brace is nothing else
    return made


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise HeaderError(Reason.HEADER_KEY_TWICE, f"{shown(name)} stands twice")
            seen.add(name)
    return made


def _whole(text: str) -> int:
    if text.startswith("-") or len(text) > _LONGEST_NUMBER:
        raise HeaderError(
            Reason.HEADER_MALFORMED, f"{text[:40]} stands where a size must, from 0 to 2^64"
        )
    return int(text)


def _fraction(text: str) -> NoReturn:
    raise HeaderError(Reason.HEADER_MALFORMED, f"{text[:40]} stands where a whole number must")


def _entry(name: str, described: object, data_bytes: int) -> TensorEntry:
    if len(name) > _LONGEST_NAME:
        raise HeaderError(
            Reason.HEADER_MALFORMED,
            f"the name {shown(name)} has {len(name):,} characters; at most {_LONGEST_NAME}",
        )
    if not isinstance(described, dict) or described.keys() != _KEYS:
        raise HeaderError(
            Reason.HEADER_MALFORMED, f"{shown(name)} must have {', '.join(sorted(_KEYS))} alone"
        )
    dtype = described["dtype"]
    shape, offsets = described["shape"], described["data_offsets"]
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise HeaderError(
            Reason.HEADER_MALFORMED, f"shape or data_offsets of {shown(name)} are no whole numbers"
        )
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise HeaderError(
            Reason.TENSOR_DTYPE,
            f"{shown(name)} is of {shown(str(dtype)[:40])}; taken are {', '.join(DTYPE_BYTES)}",
        )
    entry = TensorEntry(
        name=name, dtype=dtype, shape=tuple(shape), begin=offsets[0], end=offsets[1]
    )
    _check_place(entry, data_bytes)
    return entry


def _check_place(entry: TensorEntry, data_bytes: int) -> None:
    if entry.begin > entry.end or entry.end > data_bytes:
        raise HeaderError(
            Reason.TENSOR_OFFSETS,
            f"{shown(entry.name)} lies at {entry.begin:,} to {entry.end:,} of {data_bytes:,} bytes",
        )
    if len(entry.shape) > _MOST_DIMENSIONS:  # before they are multiplied
        raise HeaderError(
            Reason.TENSOR_SIZE,
            f"{shown(entry.name)} has {len(entry.shape):,} dimensions; at most {_MOST_DIMENSIONS}",
        )
    needed = math.prod(entry.shape) * DTYPE_BYTES[entry.dtype]
    if needed == 0 or entry.end - entry.begin != needed:
        raise HeaderError(
            Reason.TENSOR_SIZE,
            f"{shown(entry.name)} has {entry.end - entry.begin:,} bytes; its shape"
            f" {list(entry.shape)} of {entry.dtype} needs {needed:,}, and none may be empty",
        )


def _sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _check_tiling(entries: list[TensorEntry], data_bytes: int) -> None:
    at = 0
    for entry in entries:
        if entry.begin < at:
            raise HeaderError(
                Reason.TENSOR_OVERLAP,
                f"{shown(entry.name)} begins at {entry.begin:,}, before the one before it ends",
            )
        if entry.begin > at:
            raise HeaderError(
                Reason.TENSOR_GAP,
                f"{entry.begin - at:,} bytes before {shown(entry.name)} belong to no tensor",
            )
        at = entry.end
    if at < data_bytes:
        raise HeaderError(
            Reason.TENSOR_GAP, f"{data_bytes - at:,} bytes behind the last tensor belong to none"
        )
