"""Embeddings of teaching lines, kept on disk: a line is embedded once per encoder."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tame_router.durable_file import replace_file
from tame_router.routing.encoder import Encoder, encoder_reading

BATCH_LINES = 16
"""Lines that one thread embeds before it takes the next."""

KEY_BYTES = 16

LENGTH_SLACK = 0.01
"""How far from 1 half precision takes the length of a vector, and more."""

HalfArray = NDArray[np.float16]


class EmbeddingStore:
    """Embeds lines, and keeps what it has embedded.

    Embeddings are kept, and given, at half precision: whether a line was kept makes no
    difference to what is trained on it.

    Args:
        encoder: Embeds what is not there.
        folder: Where embeddings are kept; one file for each encoder.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self._encoder = encoder
        self._path = folder / f"embeddings-{encoder.digest[:16]}.safetensors"

    @property
    def encoder_digest(self) -> str:
        """Digest of the encoder."""
        return self._encoder.digest

    def embed(
        self, texts: Sequence[str], progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> NDArray[np.float32]:
        """Embed lines; float32, shape (n_lines, dimension).

        Args:
            texts: The lines; at least one.
            progress: Called with how many of how many new lines are embedded.
        """
        keys = [_key(text) for text in texts]
        kept = self._read()
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        if new:
            kept |= self._embed_new(new, progress)
            self._write(kept)
        return np.stack([kept[key] for key in keys]).astype(np.float32)

    def _embed_new(
        self, new: dict[bytes, str], progress: Callable[[int, int], None]
    ) -> dict[bytes, HalfArray]:
        keys = list(new)
        batches = [keys[i : i + BATCH_LINES] for i in range(0, len(keys), BATCH_LINES)]
        embedded: dict[bytes, HalfArray] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for batch, rows in zip(
                batches,
                pool.map(
                    lambda b: self._encoder.embed([encoder_reading(new[k]) for k in b]), batches
                ),
                strict=True,
            ):
                embedded.update(zip(batch, rows.astype(np.float16), strict=True))
                progress(len(embedded), len(keys))
        return embedded

    def _read(self) -> dict[bytes, HalfArray]:
        try:
            arrays = load_file(self._path)
            keys, rows = arrays["keys"], arrays["embeddings"]
            if not _sound(keys, rows):
                return {}
            return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}
        except (OSError, SafetensorError, KeyError, ValueError):
            return {}  # nothing is lost: they are embedded again

    def _write(self, kept: dict[bytes, HalfArray]) -> None:
        keys = np.frombuffer(b"".join(kept), np.uint8).reshape(-1, KEY_BYTES)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        embeddings = np.stack(list(kept.values()))
        replace_file(self._path, save({"keys": keys, "embeddings": embeddings}))


def _sound(keys: NDArray[np.generic], rows: NDArray[np.generic]) -> bool:
    """Tell whether a file holds keys and unit vectors; a damaged one is made again."""
    if keys.ndim != 2 or keys.shape[1] != KEY_BYTES or rows.ndim != 2:
        return False
    if rows.dtype != np.float16 or len(rows) != len(keys):
        return False
    lengths = np.linalg.norm(rows.astype(np.float32), axis=1)
    return bool((np.abs(lengths - 1) < LENGTH_SLACK).all())  # false for what is no number


class KnownEmbeddings:
    """An encoder that remembers texts; safe to call from several threads.

    Args:
        encoder: Embeds what is not known.
        texts: Texts as they were written.
        embeddings: Theirs, float32, shape (n_texts, dimension).
    """

    def __init__(
        self, encoder: Encoder, texts: Sequence[str], embeddings: NDArray[np.float32]
    ) -> None:
        self._encoder = encoder
        self._known = dict(zip(map(encoder_reading, texts), embeddings, strict=True))

    @property
    def digest(self) -> str:
        """Digest of the encoder."""
        return self._encoder.digest

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as encoders read them; float32, shape (n_texts, dimension)."""
        if all(text in self._known for text in texts) and texts:
            return np.stack([self._known[text] for text in texts])
        return self._encoder.embed(texts)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]
