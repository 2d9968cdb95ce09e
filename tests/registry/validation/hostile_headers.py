"""Uploads whose safetensors header is wrong."""

import json
import struct
from collections.abc import Callable

from tame_router.registry.reason import Reason
from tests.registry.validation.upload import (
    Tensors,
    Upload,
    described,
    framed,
    name,
    numbers,
    packed,
    small_tensors,
    small_upload,
)

Q = name(0, "self_attn.q_proj", "lora_A.weight")
Q_UP = name(0, "self_attn.q_proj", "lora_B.weight")
ONE = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
FOUR = b"\0" * 4


def headed(header: str | bytes, data: bytes = b"") -> Upload:
    """Send weights with that header."""
    encoded = header.encode() if isinstance(header, str) else header
    return small_upload(weights=framed(encoded, data))


def described_as(key: str = Q, **changed: object) -> Upload:
    """Describe one tensor otherwise than it is."""
    tensors = small_tensors()
    document = described(tensors)
    document[key] = {**document[key], **changed}
    data = b"".join(tensor[2] for tensor in tensors.values())
    return headed(json.dumps(document), data)


def tensors_with(changed: Tensors) -> Upload:
    """Change, or add, tensors of the small adapter."""
    return small_upload(tensors={**small_tensors(), **changed})


def many_tensors() -> Upload:
    """Send ten thousand and one tensors."""
    return small_upload(tensors={f"t{n}": numbers(1) for n in range(10_001)})


CASES: dict[str, tuple[Callable[[], Upload], Reason]] = {
    "no header": (lambda: small_upload(weights=b"\1\0\0"), Reason.HEADER_TRUNCATED),
    "a header beyond the file": (
        lambda: small_upload(weights=struct.pack("<Q", 999) + b"{}"),
        Reason.HEADER_TRUNCATED,
    ),
    "a header of 2 GiB": (
        lambda: small_upload(weights=struct.pack("<Q", 2**31) + b"{" * 1000),
        Reason.HEADER_TOO_LARGE,
    ),
    "a header of 2^64 bytes": (
        lambda: small_upload(weights=b"\xff" * 8 + b"{}"),
        Reason.HEADER_TOO_LARGE,
    ),
    "an empty header": (lambda: headed(""), Reason.HEADER_NOT_JSON),
    "no JSON": (lambda: headed("{not json}"), Reason.HEADER_NOT_JSON),
    "a list": (lambda: headed("[1]"), Reason.HEADER_NOT_JSON),
    "a blank before": (lambda: headed(" {}"), Reason.HEADER_NOT_JSON),
    "a mark before": (lambda: headed("\ufeff{}"), Reason.HEADER_NOT_JSON),
    "UTF-16": (lambda: headed('{"a":1}'.encode("utf-16-le")), Reason.HEADER_NOT_JSON),
    "half a character": (lambda: headed(f'{{"\\ud800":{ONE}}}', FOUR), Reason.HEADER_NOT_JSON),
    "not UTF-8": (lambda: headed(b'{"\xff":1}'), Reason.HEADER_NOT_JSON),
    "two documents": (lambda: headed("{}{}"), Reason.HEADER_NOT_JSON),
    "a tensor twice": (lambda: headed(f'{{"a":{ONE},"a":{ONE}}}', FOUR), Reason.HEADER_KEY_TWICE),
    "a dtype twice": (
        lambda: headed('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}'),
        Reason.HEADER_KEY_TWICE,
    ),
    "depth": (lambda: headed('{"a":' * 50_000), Reason.HEADER_MALFORMED),
    "a tensor that is a number": (lambda: headed('{"a":1}'), Reason.HEADER_MALFORMED),
    "a key too many": (lambda: described_as(code="x"), Reason.HEADER_MALFORMED),
    "a size below zero": (lambda: described_as(shape=[-1, -16]), Reason.HEADER_MALFORMED),
    "minus nothing": (
        lambda: headed(f'{{"a":{ONE.replace("[0", "[-0")}}}', FOUR),
        Reason.HEADER_MALFORMED,
    ),
    "a fraction of a size": (lambda: described_as(shape=[2.0, 8]), Reason.HEADER_MALFORMED),
    "truth as a size": (lambda: described_as(shape=[True, 16]), Reason.HEADER_MALFORMED),
    "infinity as a size": (lambda: described_as(shape=[float("inf")]), Reason.HEADER_MALFORMED),
    "a size of 30 digits": (lambda: described_as(shape=[10**30]), Reason.HEADER_MALFORMED),
    "three offsets": (lambda: described_as(data_offsets=[0, 1, 2]), Reason.HEADER_MALFORMED),
    "metadata that is no text": (
        lambda: headed(f'{{"__metadata__":{{"a":1}},"a":{ONE}}}', FOUR),
        Reason.HEADER_MALFORMED,
    ),
    "a name of 600 characters": (
        lambda: headed(f'{{"{"a" * 600}":{ONE}}}', FOUR),
        Reason.HEADER_MALFORMED,
    ),
    "no tensor": (lambda: headed("{}"), Reason.NO_TENSORS),
    "metadata alone": (lambda: headed('{"__metadata__":{}}'), Reason.NO_TENSORS),
    "10,001 tensors": (many_tensors, Reason.TOO_MANY_TENSORS),
    "whole numbers": (lambda: described_as(dtype="I64"), Reason.TENSOR_DTYPE),
    "no such dtype": (lambda: described_as(dtype="__reduce__"), Reason.TENSOR_DTYPE),
    "a dtype that is a list": (lambda: described_as(dtype=["F32"]), Reason.TENSOR_DTYPE),
    "offsets beyond the file": (
        lambda: described_as(data_offsets=[2**40, 2**40 + 64]),
        Reason.TENSOR_OFFSETS,
    ),
    "offsets backwards": (lambda: described_as(data_offsets=[64, 0]), Reason.TENSOR_OFFSETS),
    "tensors that overlap": (
        lambda: described_as(Q_UP, data_offsets=[32, 96]),
        Reason.TENSOR_OVERLAP,
    ),
    "a gap": (
        lambda: headed(f'{{"a":{ONE.replace("[0, 4]", "[4, 8]")}}}', FOUR * 2),
        Reason.TENSOR_GAP,
    ),
    "something behind": (
        lambda: small_upload(weights=packed(small_tensors()) + b"PK\x03\x04"),
        Reason.TENSOR_GAP,
    ),
    "a shape that overflows": (lambda: described_as(shape=[2**63, 2**63]), Reason.TENSOR_SIZE),
    "another size than bytes": (lambda: described_as(shape=[2, 7]), Reason.TENSOR_SIZE),
    "an empty tensor": (
        lambda: tensors_with({"empty": ("F32", (0, 8), b"")}),
        Reason.TENSOR_SIZE,
    ),
    "a million dimensions": (lambda: described_as(shape=[1] * 100_000), Reason.TENSOR_SIZE),
}
"""By what is wrong: how it is made, and why it is refused."""
