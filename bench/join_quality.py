"""What each join does with questions of two domains: facts found, tokens, seconds.

    python bench/join_quality.py [--json] [--fill docs/joins.md] [--max-tokens 160] [--at-once 1]
                                 [--pair legal+medical] [--per-pair N] [--way NAME]
                                 [--merged FOLDER] [--scored FILE] [--out FOLDER]
                                 [--engine http://127.0.0.1:8100/v1 --key-file F]

Without `--engine` it starts a vLLM of its own with the experts' live adapters, and with the
merged ones that `--merged` names (made by `adapters/merge.py`). Every question is asked of
the base model alone, of each of the two experts alone, and by every join that the router
knows, greedily, and one at a time unless `--at-once` says more: then the engine writes
several answers in one batch, and seconds tell nothing of a single one.

Answers are kept in `--out` (`.tame/join_quality/`): `replies.jsonl` for programs, `answers.md`
for reading, with the facts that were found ticked. `--fill FILE` puts the tables between the
marks of a page. `--scored FILE`, which may be repeated,
asks nobody and scores kept replies again, those of several runs together.

Exit codes: 0 measured; 1 the questions, the experts or the engine cannot be used, 2 wrong use.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.join_table import PLACE, document, markdown
from bench.join_ways import TIMEOUT_S, Asker, Way, ways
from bench.kept_replies import keep, read_replies
from bench.merged_ways import Merge, MergedAsker, read_merge
from bench.pair_question import QUESTIONS, PairQuestion, read_pair_questions
from bench.pair_score import Reply
from deploy.local.logged_command import say
from deploy.local.router_process import router
from tame_router import app
from tame_router.backends.engine.process import key_file, launch, stop, wait_ready
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.config import Settings
from tame_router.config_file import load_settings
from tame_router.errors import TameError
from tame_router.local_engine import engine_base_model, engine_spec


def main() -> int:
    """Run the command line."""
    options = _parser().parse_args()
    try:
        questions = choose(read_pair_questions(options.questions), options.pair, options.per_pair)
        merges = [read_merge(folder) for folder in options.merged]
        if options.fill:  # a page without a place is told before an hour of asking
            PLACE.fill(options.fill.read_text(encoding="utf-8"), "")
        replies = [reply for path in options.scored for reply in read_replies(path)]
        if not options.scored:
            replies = _ask(options, questions, merges)
    except (TameError, RuntimeError, ValueError, OSError) as error:
        print(f"bench/join_quality.py: {error}", file=sys.stderr)
        return 1
    asked = {reply.question for reply in replies}
    questions = [question for question in questions if question.id in asked]
    known = {question.id for question in questions}
    found = document(questions, [reply for reply in replies if reply.question in known])
    drawn = markdown(found)
    print(drawn)
    if options.fill:
        PLACE.fill_file(options.fill, drawn)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    return 0


def choose(
    questions: Sequence[PairQuestion], pairs: Sequence[str], per_pair: int | None
) -> list[PairQuestion]:
    """Keep the questions of some pairs, and of each pair some, spread over both languages.

    Args:
        questions: All there are.
        pairs: Pairs to keep, as `legal+medical`; none: all.
        per_pair: Most questions of a pair; None: all.

    Raises:
        ValueError: When a pair is not among the questions', or nothing is left.
    """
    known = {question.pair for question in questions}
    unknown = sorted(set(pairs) - known)
    if unknown:
        raise ValueError(f"no questions of {unknown[0]!r}; there are {', '.join(sorted(known))}")
    kept: list[PairQuestion] = []
    for pair in dict.fromkeys(q.pair for q in questions if not pairs or q.pair in pairs):
        own = [question for question in questions if question.pair == pair]
        # Chinese stands before English in a pair: take evenly, so that both are there.
        most = len(own) if per_pair is None else min(per_pair, len(own))
        kept += [own[number * len(own) // most] for number in range(most)]
    if not kept:
        raise ValueError("nothing is left to ask; give --per-pair at least 1")
    return kept


def ask_router(
    asker: Asker, asked: Sequence[Way], questions: Sequence[PairQuestion], at_once: int
) -> Iterator[Reply]:
    """Ask every question every way, in an order that gives no way the warm start.

    Args:
        asker: Asks.
        asked: The ways.
        questions: The questions.
        at_once: Answers under way at the same time, ≥ 1.
    """
    calls: list[tuple[Way, PairQuestion]] = []
    for number, question in enumerate(questions):
        turn = number % len(asked)
        calls += [(way, question) for way in (*asked[turn:], *asked[:turn])]
    with ThreadPoolExecutor(at_once) as threads:
        yield from threads.map(lambda call: asker.ask(*call), calls)


@contextlib.contextmanager
def own_engine(settings: Settings, merges: Sequence[Merge]) -> Iterator[tuple[str, Path]]:
    """Run a vLLM with all adapters on a free port; give its address and the file with its key."""
    folder = settings.state_dir / "join_quality"
    spec = engine_spec(settings)
    added = tuple((merge.revision.name, merge.folder) for merge in merges)
    spec = replace(
        spec,
        port=0,
        adapters=(*spec.adapters, *added),
        state_dir=folder,
        log_path=folder / "engine" / "engine.log",
    )
    stop(folder)  # what a bench that was killed has left
    say(f"starting vLLM with {len(spec.adapters)} adapters")
    try:
        state = launch(spec)
        wait_ready(state, timeout_s=settings.engine.start_timeout_s)
        yield state.base_url, key_file(folder)
    finally:
        stop(folder)


def _ask(
    options: argparse.Namespace, questions: Sequence[PairQuestion], merges: Sequence[Merge]
) -> list[Reply]:
    settings = load_settings()
    asked = [way for way in ways() if not options.way or way.name in options.way]
    folder: Path = options.out or settings.state_dir / "join_quality"
    folder.mkdir(parents=True, exist_ok=True)
    replies: list[Reply] = []
    with contextlib.ExitStack() as stack:
        if options.engine:
            url, key = options.engine, options.key_file
        else:
            url, key = stack.enter_context(own_engine(settings, merges))
        environment = {
            "TAME_BACKENDS__LOCAL__BASE_URL": url,
            # Two cores that others use can take minutes over what one second is enough for.
            "TAME_BACKENDS__LOCAL__FIRST_TOKEN_TIMEOUT_S": str(TIMEOUT_S),
            "TAME_BACKENDS__LOCAL__STALL_TIMEOUT_S": str(TIMEOUT_S),
            # An expert that is given up for being slow would be counted as one who knows nothing.
            "TAME_JOINS__FIRST_TOKEN_TIMEOUT_S": str(TIMEOUT_S),
            "TAME_JOINS__STALL_TIMEOUT_S": str(TIMEOUT_S),
            "TAME_JOINS__DRAFT_TIMEOUT_S": str(TIMEOUT_S),
            "TAME_SERVER__INSECURE": "true",  # loopback only
            **({"TAME_BACKENDS__LOCAL__API_KEY_FILE": str(key.resolve())} if key else {}),
        }
        addresses = stack.enter_context(router(environment, folder / "router.log"))
        channel = stack.enter_context(grpc.insecure_channel(addresses.grpc))
        fallback = settings.routing.fallback
        asker = Asker(channel, fallback=fallback, max_tokens=options.max_tokens)
        total = len(asked) * len(questions)
        total += sum(set(m.domains) == set(q.domains) for m in merges for q in questions)

        def take(reply: Reply) -> None:
            replies.append(reply)
            say(f"{len(replies)}/{total} {reply.question}, {reply.way}: {reply.elapsed_s:.1f} s")
            keep(folder, questions, replies)

        for reply in ask_router(asker, asked, questions, options.at_once) if asked else ():
            take(reply)
        if merges:
            backend = VllmBackend(
                VllmSpec(
                    base_url=url,
                    api_key=key.read_text(encoding="utf-8").strip() if key else "",
                    base_model=engine_base_model(settings).served_name,
                    first_token_timeout_s=TIMEOUT_S,
                    stall_timeout_s=TIMEOUT_S,
                )
            )
            merged = MergedAsker(
                backend, app.build_catalog(settings), max_tokens=options.max_tokens
            )
            merged.ask_all(merges, questions, at_once=options.at_once, take=take)
    return replies


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--fill", type=Path, metavar="FILE", help="also put the tables here")
    parser.add_argument("--questions", type=Path, default=QUESTIONS, metavar="FILE")
    parser.add_argument(
        "--pair", action="append", default=[], help="legal+medical; may be repeated"
    )
    parser.add_argument("--per-pair", type=int, metavar="N", help="most questions of a pair")
    parser.add_argument("--way", action="append", help="ask this way only; may be repeated")
    parser.add_argument("--at-once", type=int, default=1, help="answers at a time (default: 1)")
    parser.add_argument(
        "--max-tokens", type=int, default=160, help="for each expert (default: 160)"
    )
    parser.add_argument(
        "--merged",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="a merged adapter",
    )
    parser.add_argument(
        "--scored",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="score these replies",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where answers are kept")
    parser.add_argument("--engine", default="", metavar="URL", help="a running vLLM, with its /v1")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file with that engine's key")
    return parser


if __name__ == "__main__":
    sys.exit(main())
