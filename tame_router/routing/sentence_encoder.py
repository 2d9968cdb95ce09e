"""Any encoder that sentence-transformers loads: a folder, or a name on the hub.

The library, and torch with it, is imported here, in a function, and nowhere else. It takes
seconds and hundreds of megabytes: the embedded encoder is faster; this one is for yours.
"""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tame_router.errors import ConfigError

LONGEST_TEXT_TOKENS = 256
"""Tokens that are read; what follows them is cut off."""


class SentenceEncoder:
    """Embed texts with sentence-transformers on the CPU, with the model's default prompt.

    The library is loaded with the first text.

    Args:
        source: A sentence-transformers folder, or a name on the hub.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._loaded: Any = None
        self._digest = _digest(source)

    @property
    def digest(self) -> str:
        """SHA-256 over a folder's files, or over the name on the hub, in hexadecimal."""
        return self._digest

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; float32, shape (n_texts, dimension), rows of length 1.

        Raises:
            ConfigError: When the library is absent, or cannot load the model.
        """
        embeddings: NDArray[np.float32] = self._transformer().encode(
            list(texts),
            batch_size=1,  # padding would let an embedding depend on its neighbours
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return embeddings

    def _transformer(self) -> Any:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._source)
            return self._loaded


def _load(source: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError(
            f"the encoder {source!r} needs {error.name}, which is not installed;"
            " pip install 'tame-router[sentence-transformers]', or leave routing.encoder.model"
            " empty for the embedded one"
        ) from error
    try:
        transformer = SentenceTransformer(source, device="cpu")
    except Exception as error:  # the library raises whatever its own libraries do
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"sentence-transformers cannot load the encoder {source!r}: {first[:200]}; name a"
            " folder that holds modules.json, or a hub name that this machine can reach"
        ) from error
    transformer.max_seq_length = min(transformer.max_seq_length or 512, LONGEST_TEXT_TOKENS)
    return transformer


def _digest(source: str) -> str:
    folder = Path(source)
    if not folder.is_dir():
        return hashlib.sha256(f"hub:{source}".encode()).hexdigest()
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        whole.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
