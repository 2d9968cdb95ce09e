"""The seam to whatever turns a text into a vector."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tame_router.routing.simplified import to_traditional
from tame_router.routing.text import head_and_tail

LONGEST_TEXT_CHARS = 400
"""Characters of a text that are read: its head and its tail, three parts to one."""


class Encoder(Protocol):
    """A sentence encoder. Safe to call from several threads."""

    @property
    def digest(self) -> str:
        """Tell encoders apart: different digests, different embeddings."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; float32, shape (n_texts, dimension), rows of length 1."""
        ...


def encoder_reading(text: str) -> str:
    """Give a text as encoders read it: shortened, Simplified Chinese written as Traditional.

    Lone halves of surrogate pairs, which no tokenizer takes, are left out.
    """
    characters = text.encode(errors="ignore").decode()
    return to_traditional(head_and_tail(characters, LONGEST_TEXT_CHARS))
