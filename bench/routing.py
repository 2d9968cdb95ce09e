"""How well the router decides, and how fast: the public questions, beside two peers.

    python bench/routing.py [--json] [--data DIR] [--no-peers]

DIR holds files of questions, one JSON object a line: `dev.jsonl` (of one domain),
`multi.jsonl` (of two) and `ood.jsonl` (of none); any may be absent. They are for measuring
only. The router is built as the service builds it, and trained first where it has to be.
Every question goes through `Router.route`. Behind each share stands its 95 % interval.

Exit codes: 0 measured, or there is no data (it says so); 1 the data or the experts cannot
be used, 2 wrong use.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.one_core import run_on_one_core
from bench.peer import PeerAnswers
from bench.peer_environment import ask_semantic_router
from bench.peer_tfidf import ask_tfidf
from bench.routing_figures import (
    Quality,
    measure_lead_over,
    measure_leads,
    measure_quality,
    read_folder,
)
from bench.routing_table import document, peer_document, rows
from bench.routing_times import ALWAYS
from deploy.local.logged_command import InstallError, say
from tame_router import app
from tame_router.config import Settings
from tame_router.config_file import load_settings
from tame_router.errors import ArtefactError, TameError
from tame_router.evaluation.outcome import Trial, examine
from tame_router.evaluation.question import Question
from tame_router.routing.router import Router
from tame_router.teaching.corpus import load_corpus
from tame_router.trained_router import Lesson, assemble, build_encoder, load_trained, plan_lesson

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "routing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is measured.

    Attributes:
        settings: All settings.
        lesson: What the router is trained from.
        router: The router, as the service has it.
        always: The same with the encoder asked always; None: there is no encoder.
    """

    settings: Settings
    lesson: Lesson
    router: Router
    always: Router | None


def build() -> Bench:
    """Build the router as the service does; train it first, and show how far that is."""
    settings = load_settings()
    catalog = app.build_catalog(settings)
    lesson = plan_lesson(settings, catalog)
    encoder = build_encoder(lesson)
    try:
        artefact = load_trained(lesson, encoder)
    except ArtefactError as stale:
        say(f"training the router first (about two minutes): {stale.message}")
        train = [sys.executable, "-m", "tame_router", "router", "train"]
        subprocess.run(train, check=True)
        artefact = load_trained(lesson, encoder)
    always = None
    if encoder and artefact.dense:
        asking = replace(artefact, dense=replace(artefact.dense, confidence=ALWAYS))
        always = assemble(asking, encoder, settings.routing)
    router = assemble(artefact, encoder, settings.routing)
    return Bench(settings=settings, lesson=lesson, router=router, always=always)


def take_times() -> dict[str, Any]:
    """Measure both tiers in a process of their own, on one core."""
    script = ROOT / "bench" / "routing_times.py"
    said = run_on_one_core([sys.executable, str(script)])
    times: dict[str, Any] = json.loads(said.splitlines()[-1])
    return times


def ask_peers(bench: Bench, questions: Sequence[Question]) -> dict[str, PeerAnswers]:
    """Teach the peers with our lines, and ask them; one that cannot be had is left out."""
    corpus = load_corpus(bench.lesson.folders)
    asked = [question.text for question in questions]
    say("teaching and asking TF-IDF with logistic regression")
    texts = [u.text for u in corpus.utterances]
    found = {"tfidf": ask_tfidf(texts, [u.expert for u in corpus.utterances], asked)}
    try:
        say("teaching and asking semantic-router")
        fallback = bench.settings.routing.fallback
        peer = ask_semantic_router(bench.lesson, corpus, asked, fallback)
    except InstallError as error:
        say(f"semantic-router is left out: {error}")
        return found
    return found | {f"semantic_router.{name}": answers for name, answers in peer.items()}


def decide_all(bench: Bench, questions: Sequence[Question]) -> Quality:
    """Let our router decide, and the one that always asks the encoder."""
    say(f"routing {len(questions):,} questions")
    trials = examine(bench.router, questions)
    always: tuple[Trial, ...] = ()
    if bench.always:
        say("routing them again, with the encoder asked always")
        always = examine(bench.always, questions)
    return measure_quality(trials, always, bench.router.experts)


def measure(data: Path, *, peers: bool) -> dict[str, Any] | None:
    """Measure everything, and give it as one JSON object; None: there is no question."""
    if not any(path.stat().st_size for path in data.glob("*.jsonl")):
        return None
    bench = build()
    questions = read_folder(data, bench.router.experts, bench.settings.routing.fallback)
    if not questions:
        return None
    say("timing both tiers on one core")
    times = take_times()
    quality = decide_all(bench, questions)
    answers = ask_peers(bench, questions) if peers else {}
    found = document(quality, times)
    found["questions"] = len(questions)
    found["peers"] = {
        name: peer_document(
            measure_leads(questions, peer.leads),
            measure_lead_over(questions, quality.answered, peer.leads),
            peer,
        )
        for name, peer in answers.items()
    }
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="the questions")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    os.chdir(ROOT)
    try:
        found = measure(data, peers=not arguments.no_peers)
    except TameError as error:
        print(f"bench/routing.py: {error.message}", file=sys.stderr)
        return 1
    if found is None:
        say(f"no data: {data} holds no question; name a folder with --data DIR")
        found = {"no_data": str(data)}
    else:
        print("\n".join(rows(found)))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
