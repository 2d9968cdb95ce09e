"""What a revision is asked by the gate: the experts' own evaluation sets, and what it brings."""

import asyncio
from pathlib import Path
from typing import Final

from tame_router.catalog.evaluation import EvaluationCase, parse_evaluation, read_evaluation
from tame_router.catalog.live import LiveCatalog
from tame_router.registry.gate.evaluation_sets import EvaluationSets, added
from tame_router.registry.record import RevisionRecord
from tame_router.registry.storage.revision_store import RevisionStore

FILE: Final = "evaluation.jsonl"

_MOST_BYTES: Final = 16 * 2**20


class ExaminationSets:
    """Gathers evaluation sets.

    Args:
        live: The experts, whose folders hold their sets.
        store: Where what uploads bring is kept.
    """

    def __init__(self, live: LiveCatalog, store: RevisionStore) -> None:
        self._live = live
        self._store = store

    async def __call__(self, record: RevisionRecord) -> EvaluationSets:
        """Give what a revision is asked.

        Raises:
            CorruptRevisionError: When what it brought is not what it was.
        """
        return await asyncio.to_thread(self._read, record)

    def _read(self, record: RevisionRecord) -> EvaluationSets:
        experts = self._live.folders.experts
        sets = {name: _own(expert.folder / FILE) for name, expert in experts.items()}
        own = sets.pop(record.expert, None)
        file = self._store.read(record.name, FILE, _MOST_BYTES)
        brought, _ = parse_evaluation(file, Path(FILE)) if file else ([], [])
        if own is None:  # it makes its expert: what it brings is all there is
            return EvaluationSets(own=tuple(brought), others=sets)
        return EvaluationSets(own=own, brought=added(own, brought), others=sets)


def _own(path: Path) -> tuple[EvaluationCase, ...]:
    cases, problems = read_evaluation(path)
    return () if problems else tuple(cases)
