"""Bytes changed without regard to what they mean."""

from collections.abc import Sequence
from random import Random

LONGEST_PIECE = 64
MOST_REPEATS = 50


def mangled(data: bytes, random: Random, pieces: Sequence[bytes]) -> bytes:
    """Cut, drop, flip, repeat, insert or replace a piece.

    Args:
        data: What is changed.
        random: Says how.
        pieces: What may be inserted beside random bytes.
    """
    at = random.randint(0, len(data))
    to = min(len(data), at + random.randint(0, random.choice([1, 4, LONGEST_PIECE])))
    other = random.choice(pieces) if random.random() < 0.7 else random.randbytes(to - at)
    match random.randrange(7):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[to:]
        case 2:
            flipped = bytes(byte ^ random.randint(1, 255) for byte in data[at : at + 1])
            return data[:at] + flipped + data[at + 1 :]
        case 3:
            return data[:to] + data[at:to] * random.randint(1, MOST_REPEATS) + data[to:]
        case 4:
            return data[:at] + other + data[at:]
        case 5:
            return data[to:] + data[:to]
    return data[:at] + other + data[to:]
