"""Sums of squares, beside numpy's in double precision."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.registry.validation.tensor_norm import BLOCK_BYTES, sum_of_squares

DTYPES = ("F32", "F16", "BF16")
SIZE = {"F32": 4, "F16": 2, "BF16": 2}


def widened(data: bytes, dtype: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Read numbers the slow and sure way."""
    if dtype == "BF16":
        bits = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return bits.view(np.float32).astype(np.float64)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float64)


@given(st.sampled_from(DTYPES), st.binary(max_size=200), st.integers(0, 3))
def test_any_bits(dtype: str, data: bytes, shift: int) -> None:
    """For all bit patterns, at all addresses: finite where all are, and then the right sum."""
    whole = data[: len(data) - len(data) % SIZE[dtype]]
    moved = np.frombuffer(b"\0" * shift + whole, np.uint8)[shift:]
    with np.errstate(all="ignore"):
        numbers = widened(whole, dtype)
        expected = float(numbers @ numbers)
    seen = sum_of_squares(moved, dtype)
    assert math.isfinite(seen) == bool(np.isfinite(numbers).all())
    if math.isfinite(seen):
        # What float32 takes for nothing, beneath 1e-19, may be lost.
        assert seen == pytest.approx(expected, rel=1e-4, abs=1e-30)


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_than_a_block(dtype: str) -> None:
    """Numbers of several blocks are all added up, and one bad one at the end is seen."""
    count = 2 * BLOCK_BYTES // SIZE[dtype] + 3
    one = {"F32": b"\0\0\x80\x3f", "F16": b"\0\x3c", "BF16": b"\x80\x3f"}[dtype]
    infinite = {"F32": b"\0\0\x80\x7f", "F16": b"\0\x7c", "BF16": b"\x80\x7f"}[dtype]
    data = one * count
    assert sum_of_squares(np.frombuffer(data, np.uint8), dtype) == pytest.approx(count)
    spoilt = data + infinite
    assert not math.isfinite(sum_of_squares(np.frombuffer(spoilt, np.uint8), dtype))


def test_nothing_is_zero() -> None:
    """No numbers have the sum zero."""
    assert sum_of_squares(np.empty(0, np.uint8), "F16") == 0
