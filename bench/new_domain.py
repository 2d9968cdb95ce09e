"""What a new domain of few lines gets: one of ours held out, then added by `extend`.

    python bench/new_domain.py [--json] [--domains medical legal] [--lines 5 20 50] [--seeds 3]

A router is trained without the domain and without a tenth of the other lines (kept in
.tame/bench, minutes each). It is extended by some of the domain's lines, half of them
Chinese; recall is over 500 of its others, the loss over the tenth that nobody learnt.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tame_router.chat import Message, Role
from tame_router.config import EncoderSettings, RoutingSettings
from tame_router.errors import ArtefactError
from tame_router.routing.artefact import Artefact
from tame_router.routing.artefact_folder import load_artefact, save_artefact
from tame_router.routing.encoder import Encoder
from tame_router.routing.router import Router
from tame_router.teaching.corpus import Corpus, Utterance, load_corpus
from tame_router.teaching.embedding import EmbeddingStore, KnownEmbeddings
from tame_router.teaching.extension import extend
from tame_router.teaching.folds import assign_folds
from tame_router.teaching.training import train
from tame_router.trained_router import Lesson, assemble, build_encoder

ROOT = Path(__file__).resolve().parent.parent
DOMAINS = ("legal", "medical", "manufacturing", "electronics")
ASKED = 500
FOLDERS = {p.name: p for p in (ROOT / "experts").iterdir() if (p / "expert.yaml").exists()}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A router that does not know a domain, and what it is asked."""

    out: str
    artefact: Artefact
    corpus: Corpus
    old: tuple[Utterance, ...]
    new: tuple[Utterance, ...]
    encoder: Encoder
    store: EmbeddingStore


def build_world(out: str) -> World:
    """Train without a domain, or load what was trained."""
    lesson = Lesson(folders=FOLDERS, state_dir=ROOT / ".tame", encoder=EncoderSettings())
    encoder = build_encoder(lesson)
    if encoder is None:
        raise SystemExit("there is no encoder; run `make encoder`")
    store = EmbeddingStore(encoder, lesson.artefact_dir)
    everything = load_corpus(FOLDERS)
    others = load_corpus({name: path for name, path in FOLDERS.items() if name != out})
    folds = assign_folds([u.expert for u in others.utterances], 10, 10)
    pairs = list(zip(others.utterances, folds, strict=True))
    corpus = replace(others, utterances=tuple(u for u, fold in pairs if fold))
    folder = ROOT / ".tame" / "bench" / f"without-{out}"
    try:
        artefact = load_artefact(
            folder, others.experts, corpus_digest=corpus.digest, encoder_digest=encoder.digest
        )
    except ArtefactError:
        artefact = train(corpus, created=datetime.now(UTC), embeddings=store)
        save_artefact(artefact, folder)
    new = tuple(u for u in everything.utterances if u.expert == out and not u.other)
    readings = [u.text for u in everything.utterances]
    known = KnownEmbeddings(encoder, readings, store.embed(readings))
    return World(
        out=out,
        artefact=artefact,
        corpus=corpus,
        old=tuple(u for u, fold in pairs if not fold and not u.other),
        new=new,
        encoder=known,
        store=store,
    )


def measure(world: World, lines: int, seed: int) -> Mapping[str, float]:
    """Extend by some lines, and ask the others."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(world.new))
    english = [i for i in order if world.new[i].language == "en"][: lines // 2]
    chinese = [i for i in order if world.new[i].language != "en"][: lines - lines // 2]
    taken = sorted({*english, *chinese})
    asked = [world.new[i] for i in order if i not in set(taken)][:ASKED]
    corpus = Corpus(
        experts=tuple(sorted((*world.corpus.experts, world.out))),
        utterances=(*world.corpus.utterances, *(world.new[i] for i in taken)),
    )
    begun = time.perf_counter()
    extension = extend(
        world.artefact, corpus, world.out, created=datetime.now(UTC), embeddings=world.store
    )
    seconds = time.perf_counter() - begun
    before, after = _router(world, world.artefact), _router(world, extension.artefact)
    return {
        "recall": _right(after, asked),
        "estimated": extension.recall,
        "loss": _right(before, world.old) - _right(after, world.old),
        "looks_before": _looks(before, world.old),
        "looks": _looks(after, world.old),
        "seconds": seconds,
    }


def _router(world: World, artefact: Artefact) -> Router:
    return assemble(artefact, world.encoder, RoutingSettings())


def _right(router: Router, asked: Sequence[Utterance]) -> float:
    leads = (router.route([Message(role=Role.USER, content=u.text)]).lead for u in asked)
    return float(np.mean([lead == u.expert for lead, u in zip(leads, asked, strict=True)]))


def _looks(router: Router, asked: Sequence[Utterance]) -> float:
    stages = router.classify([u.text for u in asked[::4]]).stages
    return float(np.mean([stage == "encoder" for stage in stages]))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--domains", nargs="+", default=DOMAINS, choices=DOMAINS)
    parser.add_argument("--lines", nargs="+", type=int, default=(5, 20, 50))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for out in arguments.domains:
        world = build_world(out)
        for lines in arguments.lines:
            rows = [measure(world, lines, seed) for seed in range(arguments.seeds)]
            means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
            if arguments.json:
                print(json.dumps({"domain": out, "lines": lines, **means}), flush=True)
                continue
            print(
                f"{out:<14}{lines:>4} lines  recall {means['recall']:6.1%}"
                f"  (estimated {means['estimated']:6.1%})  loss {100 * means['loss']:5.2f} points"
                f"  encoder {means['looks_before']:.0%} to {means['looks']:.0%}"
                f"  {means['seconds']:.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
