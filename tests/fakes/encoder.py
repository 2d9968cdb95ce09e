"""A deterministic encoder: each text a unit vector of its hashed pairs of characters."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DIMENSION = 48


class FakeEncoder:
    """Embeds texts that share pairs of characters close to each other, and remembers them.

    Args:
        name: Encoders of another name have another digest, and other embeddings.
    """

    def __init__(self, name: str = "fake") -> None:
        self._name = name
        self._lock = threading.Lock()
        self.seen: list[str] = []
        self.threads: set[int] = set()

    @property
    def digest(self) -> str:
        """Tell encoders apart."""
        return hashlib.sha256(self._name.encode()).hexdigest()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; float32, shape (n_texts, `DIMENSION`), rows of length 1."""
        with self._lock:
            self.seen += texts
            self.threads.add(threading.get_ident())
        return np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(
            -1, DIMENSION
        )

    def _vector(self, text: str) -> NDArray[np.float64]:
        vector = np.full(DIMENSION, 1e-3)
        padded = f" {text.lower()} "
        for i in range(len(padded) - 1):
            pair = f"{self._name}:{padded[i : i + 2]}".encode()
            digest = hashlib.blake2b(pair, digest_size=4).digest()
            vector[int.from_bytes(digest[:3]) % DIMENSION] += 1 if digest[3] % 2 else -1
        unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
        return unit


class SlowEncoder(FakeEncoder):
    """Says when it has begun to embed, and waits until it may go on."""

    def __init__(self, name: str = "fake") -> None:
        super().__init__(name)
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts once `may_end` is set; fails after ten seconds without it."""
        self.begun.set()
        if not self.may_end.wait(10):
            raise TimeoutError("nobody let the encoder go on")
        return super().embed(texts)
