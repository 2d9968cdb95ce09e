"""The embedded encoder: a sentence-transformers folder with an ONNX graph in it.

ONNX Runtime and the tokenizer are imported here and nowhere else, and no tensor library:
so the service starts in a second, and an embedding takes milliseconds on one core.
"""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
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

    A text's embedding does not depend on what is embedded beside it. Files are checked at
    once, and loaded with the first text.

    Args:
        folder: The encoder's folder.

    Raises:
        ConfigError: When the folder lacks a file, one is damaged, or a library is absent.
    """

    def __init__(self, folder: Path) -> None:
        _check_libraries(folder)
        self._folder = folder
        self._digest = _digest(folder)
        self._prompt = _prompt(folder)
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over graph, tokenizer and prompt, in hexadecimal."""
        return self._digest

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; float32, shape (n_texts, dimension), rows of length 1.

        Raises:
            ConfigError: When a file turns out to be damaged.
        """
        loaded = self._load()
        rows = []
        for text in texts:
            identifiers = loaded.tokenizer.encode(self._prompt + text).ids
            (embedding,) = loaded.session.run(None, {"input_ids": np.array([identifiers])})
            rows.append(embedding[0])
        if not rows:
            return np.empty((0, loaded.session.get_outputs()[0].shape[-1]), dtype=np.float32)
        return np.stack(rows)

    def _load(self) -> "_Loaded":
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder)
            return self._loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    tokenizer: Any
    session: Any


def _check_libraries(folder: Path) -> None:
    absent = [name for name in ("onnxruntime", "tokenizers") if find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"the encoder in {folder} needs {' and '.join(absent)}, not installed here;"
            " pip install 'tame-router[encoder]', or set routing.encoder.enabled to false"
        )


def _load(folder: Path) -> _Loaded:
    import onnxruntime
    from tokenizers import Tokenizer

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
    return _Loaded(tokenizer=tokenizer, session=session)


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
