"""How long a decision takes: each tier alone, on one core, over sentences of 40 characters.

    python bench/routing_times.py [--rounds 30]

Needs a trained router, and to be run on one core: `bench/routing.py` pins it. Prints one
JSON object: fast tier in µs (`LexicalClassifier.classify` of one text), encoder
tier in ms (the cascade told to ask the encoder always: words, embedding and head), each
with p50 and p99. Without an encoder its figures are null.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from bench.own_sentences import SENTENCES
from tame_router import app
from tame_router.config_file import load_settings
from tame_router.routing.artefact_folder import load_artefact
from tame_router.routing.cascade import Cascade
from tame_router.routing.lexical import LexicalClassifier
from tame_router.trained_router import build_encoder, plan_lesson

ALWAYS = 1.01
"""Confidence that no probability reaches: the encoder looks at every text."""

ENCODER_PART = 3
"""The encoder tier is measured in one of so many rounds."""


def times_us(classify: Callable[[list[str]], object], rounds: int) -> list[float]:
    """Classify every sentence alone, round after round; the first two warm up."""
    times: list[float] = []
    for number in range(rounds + 2):
        for sentence in SENTENCES:
            begun = time.perf_counter_ns()
            classify([sentence])
            if number >= 2:
                times.append((time.perf_counter_ns() - begun) / 1e3)
    return times


def measure(rounds: int) -> dict[str, float | int | None]:
    """Measure both tiers, and give the figures by name."""
    settings = load_settings()
    catalog = app.build_catalog(settings)
    lesson = plan_lesson(settings, catalog)
    artefact = load_artefact(lesson.artefact_dir, catalog.names)
    fast = LexicalClassifier(artefact.parameters, artefact.digest)
    p50, p99 = np.percentile(times_us(fast.classify, rounds), (50, 99)).tolist()
    figures: dict[str, float | int | None] = {
        "fast_us_p50": round(p50, 1),
        "fast_us_p99": round(p99, 1),
        "encoder_ms_p50": None,
        "encoder_ms_p99": None,
    }
    encoder = build_encoder(lesson)
    if encoder and artefact.dense:
        cascade = Cascade(fast, encoder, replace(artefact.dense, confidence=ALWAYS))
        times = times_us(cascade.classify, max(1, rounds // ENCODER_PART))
        p50, p99 = np.percentile(times, (50, 99)).tolist()
        figures |= {"encoder_ms_p50": round(p50 / 1e3, 2), "encoder_ms_p99": round(p99 / 1e3, 2)}
    return figures


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="times each sentence is read (30)")
    print(json.dumps(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
