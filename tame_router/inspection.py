"""Look over everything under the experts folder, and list what is wrong with it."""

from dataclasses import dataclass

from tame_router.catalog.evaluation import read_evaluation
from tame_router.catalog.loader import expert_folders, read_catalog
from tame_router.catalog.problem import Problem
from tame_router.config import Settings
from tame_router.local_engine import base_models
from tame_router.teaching.corpus import read_corpus
from tame_router.teaching.corpus_check import check_corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check of the experts found; lines and cases are counted where they can be read."""

    problems: tuple[Problem, ...]
    experts: int
    utterances: int
    cases: int


def check_experts(settings: Settings) -> Report:
    """Check everything under the experts folder."""
    _, problems = read_catalog(settings.experts_dir, base_models(settings))
    folders = {folder.name: folder for folder in expert_folders(settings.experts_dir)}
    corpus, found = read_corpus(folders)
    problems += found + check_corpus(corpus)
    cases = 0
    for folder in folders.values():
        read, found = read_evaluation(folder / "evaluation.jsonl")
        problems += found
        cases += len(read)
    return Report(
        problems=tuple(sorted(problems)),
        experts=len(folders),
        utterances=len(corpus.utterances),
        cases=cases,
    )
