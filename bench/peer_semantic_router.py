"""A peer: aurelio's semantic-router over our own encoder. Runs in an environment of its own.

    .tame/bench/venv/bin/python bench/peer_semantic_router.py FOLDER

The folder holds `task.json` (teaching lines, their experts, questions, the encoder's
folder) and `embeddings.npy`, a row a line; `answers.json` is written there. Two routers
are asked: one with the package's own defaults, taught with all lines; and one that sums
its neighbours' scores, taught with nine lines of ten, whose confidence the package's own
`fit` calibrates on the tenth, with 0.5 as the least confidence. (By the default, the mean,
one near line outvotes four, and `fit` finds nothing to go by.) The first is timed, with our
encoder embedding each question.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from pydantic import PrivateAttr
from semantic_router import IndexedRouter, Route
from semantic_router.encoders import DenseEncoder

from tame_router.routing.encoder import encoder_reading
from tame_router.routing.onnx_encoder import OnnxEncoder

LEAST_CONFIDENCE = 0.5
HELD_OUT = 10
"""One line of so many calibrates the second router."""

WARM_UP = 20


class OurEncoder(DenseEncoder):  # type: ignore[misc]
    """Our encoder behind the package's seam; what was embedded once is remembered."""

    _encoder: OnnxEncoder = PrivateAttr()
    _known: dict[str, Any] = PrivateAttr()
    _spent_s: float = PrivateAttr(default=0.0)

    def __init__(self, encoder: OnnxEncoder, known: dict[str, Any]) -> None:
        super().__init__(name="tame")
        self._encoder = encoder
        self._known = known

    def __call__(self, docs: list[str]) -> list[Any]:
        """Embed texts; a row each."""
        begun = time.perf_counter()
        for text in docs:
            if text not in self._known:
                (self._known[text],) = self._encoder.embed([encoder_reading(text)])
        self._spent_s += time.perf_counter() - begun
        return [self._known[text] for text in docs]

    def take_spent_s(self) -> float:
        """Give the time spent in the encoder since this was last asked, in seconds."""
        spent, self._spent_s = self._spent_s, 0.0
        return spent


def teach(encoder: OurEncoder, lines: Sequence[tuple[str, str]], **options: Any) -> Any:
    """Make a router of lines and their experts."""
    names = sorted({name for _, name in lines})
    routes = [
        Route(name=name, utterances=[text for text, expert in lines if expert == name])
        for name in names
    ]
    return IndexedRouter(encoder=encoder, routes=routes, **options)


def ask_defaults(encoder: OurEncoder, task: dict[str, Any]) -> dict[str, Any]:
    """Ask the router with the package's own defaults, and take the time."""
    begun = time.perf_counter()
    router = teach(encoder, task["lines"])
    taught_s = time.perf_counter() - begun
    for text, _ in task["lines"][:WARM_UP]:
        router(text)
    leads, with_ms, without_ms = [], [], []
    encoder.take_spent_s()
    for text in task["questions"]:
        begun = time.perf_counter()
        leads.append(router(text).name)
        spent_s = time.perf_counter() - begun
        with_ms.append(spent_s * 1e3)
        without_ms.append((spent_s - encoder.take_spent_s()) * 1e3)
    return {
        "leads": leads,
        "lines": len(task["lines"]),
        "taught_s": taught_s,
        "ms_p50": float(np.median(with_ms)),
        "ms_p50_without_encoder": float(np.median(without_ms)),
    }


def ask_calibrated(encoder: OurEncoder, task: dict[str, Any]) -> dict[str, Any]:
    """Ask the router whose confidence was calibrated; nothing it does not know is embedded."""
    begun = time.perf_counter()
    taught = [line for number, line in enumerate(task["lines"]) if number % HELD_OUT]
    seen = {text for text, _ in taught}
    held_out = [line for line in task["lines"][::HELD_OUT] if line[0] not in seen]
    router = teach(encoder, taught, aggregation="sum", confidence_threshold=LEAST_CONFIDENCE)
    router.fit([text for text, _ in held_out], [expert for _, expert in held_out])
    taught_s = time.perf_counter() - begun
    leads, times_ms = [], []
    for text in task["questions"]:
        begun = time.perf_counter()
        leads.append(router(text).name)
        times_ms.append((time.perf_counter() - begun) * 1e3)
    return {
        "leads": leads,
        "lines": len(taught),
        "taught_s": taught_s,
        "ms_p50": None,
        "ms_p50_without_encoder": float(np.median(times_ms)),
    }


def main() -> None:
    """Run the command line."""
    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    rows = np.load(folder / "embeddings.npy")
    texts = [text for text, _ in task["lines"]]
    encoder = OurEncoder(OnnxEncoder(Path(task["encoder"])), dict(zip(texts, rows, strict=True)))
    answers = {
        name: ask(encoder, task)
        for name, ask in (("defaults", ask_defaults), ("calibrated", ask_calibrated))
    }
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
