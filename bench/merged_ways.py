"""Ask merged adapters, which no expert of the router names, through the router's own backend.

A merge answers behind the prompt of the question's first domain, as a revision of that
expert would. The folder is what `adapters/merge.py` writes.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.merge_card import MERGE_FILE
from bench.pair_question import PairQuestion
from bench.pair_score import Reply
from tame_router.answering.prompt import compose
from tame_router.backends.backend import Backend, Generation
from tame_router.catalog.expert import Catalog
from tame_router.catalog.revision import Revision, read_revision
from tame_router.chat import Message, Role, Sampling, Usage
from tame_router.errors import BackendError, CatalogError


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A merged adapter.

    Attributes:
        domains: What it was made of.
        method: How.
        revision: The name an engine knows it by.
        folder: Where its files lie.
    """

    domains: tuple[str, ...]
    method: str
    revision: Revision
    folder: Path

    @property
    def way(self) -> str:
        """Its name in tables."""
        return f"merged, {self.method}"


def read_merge(folder: Path) -> Merge:
    """Read what `adapters/merge.py` wrote.

    Raises:
        CatalogError: When the folder does not hold a merge.
    """
    path = folder / MERGE_FILE
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        name = re.sub(r"[^a-z0-9]+", "-", folder.name)
        folder = folder.resolve()
        revision = read_revision(name, folder)
        # What differs from the method's own values stands behind it in the folder's name.
        method = folder.name.partition("--")[2] or facts["method"]
        return Merge(
            domains=tuple(facts["domains"]), method=method, revision=revision, folder=folder
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CatalogError(
            f"{folder}: holds no merged adapter ({error}); make one with adapters/merge.py"
        ) from error


class MergedAsker:
    """Asks merged adapters on an engine that has loaded them.

    Args:
        backend: The engine; whoever made it closes it.
        catalog: Gives the experts' prompts and sampling values.
        max_tokens: Limit for an answer.
    """

    def __init__(self, backend: Backend, catalog: Catalog, *, max_tokens: int) -> None:
        self._backend = backend
        self._catalog = catalog
        self._max_tokens = max_tokens

    async def ask(self, merge: Merge, question: PairQuestion) -> Reply:
        """Ask one question; what the engine refuses is a reply with a fault."""
        expert = self._catalog.expert(question.domains[0])
        sampling = Sampling(max_tokens=self._max_tokens, temperature=0.0).over(expert.sampling)
        generation = Generation(
            revision=merge.revision.name,
            messages=compose(expert, [Message(role=Role.USER, content=question.question)]),
            sampling=sampling,
            request_id=f"{merge.revision.expert}-{question.id}",
        )
        texts: list[str] = []
        usage, fault = Usage(), ""
        begun = time.perf_counter()
        try:
            async with self._backend.open(generation) as pieces:
                async for piece in pieces:
                    texts.append(piece.text)
                    usage = piece.usage or usage
        except BackendError as error:
            fault = f"{error.reason}: {error.message}"
        return Reply(
            way=merge.way,
            question=question.id,
            experts=merge.domains[:1],
            text="" if fault else "".join(texts),
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            elapsed_s=time.perf_counter() - begun,
            fault=fault,
        )

    def ask_all(
        self,
        merges: Sequence[Merge],
        questions: Sequence[PairQuestion],
        *,
        at_once: int,
        take: Callable[[Reply], None],
    ) -> None:
        """Ask each merge the questions of its own pair, and hand replies on as they come.

        The backend is closed then: it lives on the event loop that is run here.

        Args:
            merges: The merges.
            questions: All questions; those of other pairs are left out.
            at_once: Answers under way at the same time, ≥ 1.
            take: Gets each reply.
        """
        calls = [
            (merge, question)
            for merge in merges
            for question in questions
            if set(question.domains) == set(merge.domains)
        ]

        async def run() -> None:
            room = asyncio.Semaphore(at_once)

            async def one(merge: Merge, question: PairQuestion) -> None:
                async with room:
                    take(await self.ask(merge, question))

            try:
                async with asyncio.TaskGroup() as group:
                    for merge, question in calls:
                        group.create_task(one(merge, question))
            finally:
                await self._backend.close()

        asyncio.run(run())
