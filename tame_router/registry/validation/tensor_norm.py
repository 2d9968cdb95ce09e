"""The sum of squares of numbers, taken piece by piece as their bytes come in. Pure.

One pass tells three things: a finite sum means that no number is NaN or infinite, its root is
the Frobenius norm and no number is larger than that, and zero means that all are.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

BLOCK_BYTES: Final = 256 * 2**10
"""Bytes that are widened at once; what they become still fits the processor's second cache."""

_HALF_SCALE = np.float32(2.0**112)
_HALF_INFINITE = 0x7C00
_HALF_MAGNITUDE = 0x7FFF

Bytes = npt.NDArray[np.uint8]


def sum_of_squares(data: Bytes, dtype: str) -> float:
    """Add up the squares of numbers.

    Args:
        data: Whole numbers' bytes, shape (n_numbers * size,), little-endian; at no particular
            address.
        dtype: `F32`, `F16` or `BF16`.

    Returns:
        The sum; NaN or infinity when a number is, or when the sum is beyond float64.
    """
    total = 0.0
    with np.errstate(all="ignore"):  # what is not finite is what is looked for
        for block in _blocks(data):
            numbers = _WIDEN[dtype](block)
            square = float(np.dot(numbers, numbers))
            # Beyond float32 is not yet infinite: such numbers are added up once more, slowly.
            total += square if math.isfinite(square) else _slow_square(numbers)
    return total


def _blocks(data: Bytes) -> Iterator[Bytes]:
    for start in range(0, data.size, BLOCK_BYTES):
        yield data[start : start + BLOCK_BYTES]


def _slow_square(numbers: npt.NDArray[np.float32]) -> float:
    wide = numbers.astype(np.float64)
    return float(np.dot(wide, wide))


def _single(block: Bytes) -> npt.NDArray[np.float32]:
    return _aligned(block).view("<f4")


def _brain(block: Bytes) -> npt.NDArray[np.float32]:
    bits = _aligned(block).view("<u2").astype(np.uint32)
    bits <<= 16
    return bits.view(np.float32)


def _half(block: Bytes) -> npt.NDArray[np.float32]:
    # numpy widens halves one by one; moving the bits is three times as fast. It leaves the
    # exponent 112 too low, and makes infinity a number, which is therefore looked for before.
    magnitude = _aligned(block).view("<u2") & _HALF_MAGNITUDE
    if magnitude.size and int(magnitude.max()) >= _HALF_INFINITE:
        return np.full(1, np.nan, np.float32)
    bits = magnitude.astype(np.uint32)
    bits <<= 13
    numbers = bits.view(np.float32)
    numbers *= _HALF_SCALE
    return numbers


def _aligned(block: Bytes) -> Bytes:
    return block if block.ctypes.data % 4 == 0 else block.copy()


_WIDEN = {"F32": _single, "F16": _half, "BF16": _brain}
