"""The embedded encoder: a sentence-transformers folder with an ONNX graph in it.

ONNX Runtime and the tokenizer are imported here and nowhere else, and no tensor library:
so the service starts in a second, and an embedding takes milliseconds on one core.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tame_router.errors import ConfigError

GRAPH_FILE = "onnx/sentence_encoder.int8.onnx"
"""From `input_ids`, int64 (1, n_tokens), to `embedding`, float32 (1, dimension)."""

TOKENIZER_FILE = "tokenizer.json"
SETTINGS_FILE = "config_sentence_transformers.json"

LONGEST_TEXT_TOKENS = 256
"""Tokens that are read; what follows them is cut off."""


class OnnxEncoder:
    """Embed texts with ONNX Runtime, each on its own and on one core.

    A text's embedding does not depend on what is embedded beside it.

    Args:
        folder: The encoder's folder.

    Raises:
        ConfigError: When the folder lacks a file, one is damaged, or a library is absent.
    """

    def __init__(self, folder: Path) -> None:
        self._digest = _digest(folder)
        self._prompt = _prompt(folder)
        self._tokenizer, self._session = _load(folder)
        self._dimension: int = self._session.get_outputs()[0].shape[-1]

    @property
    def digest(self) -> str:
        """SHA-256 over graph, tokenizer and prompt, in hexadecimal."""
        return self._digest

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; float32, shape (n_texts, dimension), rows of length 1."""
        embeddings = np.empty((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            identifiers = self._tokenizer.encode(self._prompt + text).ids
            (embedding,) = self._session.run(None, {"input_ids": np.array([identifiers])})
            embeddings[row] = embedding[0]
        return embeddings


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigError(
            f"the encoder in {folder} needs {error.name}, which is not installed;"
            " pip install 'tame-router[encoder]', or set routing.encoder.enabled to false"
        ) from error
    options = onnxruntime.SessionOptions()
    # Callers bring threads of their own; more would take the cores from the event loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        session = onnxruntime.InferenceSession(
            folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # both libraries raise bare or private classes
        raise ConfigError(
            f"the encoder in {folder} is damaged: {str(error)[:200]}; remove the folder and run"
            " `make encoder`"
        ) from error
    tokenizer.enable_truncation(LONGEST_TEXT_TOKENS)
    return tokenizer, session


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for name in (GRAPH_FILE, TOKENIZER_FILE, SETTINGS_FILE):
        try:
            with (folder / name).open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ConfigError(
                f"the encoder in {folder} has no readable {name}: {error.strerror};"
                " run `make encoder`, or name another folder in routing.encoder.model"
            ) from error
    return whole.hexdigest()


def _prompt(folder: Path) -> str:
    """Give what the encoder was taught to find before a question; empty: nothing."""
    try:
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        return str(settings.get("prompts", {}).get(settings.get("default_prompt_name"), ""))
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"the encoder in {folder}: {SETTINGS_FILE} is damaged: {error}; run `make encoder`"
        ) from error
