"""Clients that stream without a pause while a label moves, and hold each answer to one revision."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from bench.adapter_rig import EXPERT, QUESTION
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, ExpertFinish, ExpertStart
from tame_router.errors import TameError

_FEW = 8


class Traffic:
    """The clients.

    Args:
        address: Of the service.
        texts: What each revision answers, by name.

    Attributes:
        texts: As above.
        settled: The revision that is live; None: the label is moving.
        requests: Answers that were asked for.
        failed: Those that failed.
        mixed: Those that were not whole and of one revision, or not of the one that was live
            when they were asked for.
        reasons: Why answers failed or count as mixed.
    """

    def __init__(self, address: str, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        self.settled: str | None = None
        self.requests = 0
        self.failed = 0
        self.mixed = 0
        self.reasons: Counter[str] = Counter()
        self._address = address
        self._moves = 0
        self._ended = False
        self._answered = asyncio.Condition()

    @asynccontextmanager
    async def flowing(self, clients: int) -> AsyncIterator[None]:
        """Have clients stream as long as the context lasts; then they finish what they have."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._client())
            try:
                yield
            finally:
                self._ended = True

    @contextmanager
    def moving(self, target: str) -> Iterator[None]:
        """Move the label to a revision in this context."""
        self._moves += 1
        self.settled = None
        yield
        self.settled = target

    async def more(self) -> None:
        """Wait for a few answers more."""
        wanted = self.requests + _FEW
        async with self._answered:
            await self._answered.wait_for(lambda: self.requests >= wanted)

    async def _client(self) -> None:
        async with AsyncClient(self._address, attempts=1) as client:
            while not self._ended:
                try:
                    await self._one(client)
                except TameError as error:
                    self.failed += 1
                    self.reasons[f"{error.reason}: {error.message}"] += 1
                async with self._answered:
                    self.requests += 1
                    self._answered.notify_all()

    async def _one(self, client: AsyncClient) -> None:
        """Ask once and judge the answer."""
        moves, live = self._moves, self.settled
        texts: list[str] = []
        revisions: set[str] = set()
        finished = False
        async with client.stream(QUESTION, expert=EXPERT) as events:
            async for event in events:
                match event:
                    case ExpertStart():
                        revisions.add(event.revision)
                        moved = moves != self._moves
                    case Delta():
                        revisions.add(event.revision)
                        texts.append(event.text)
                    case ExpertFinish():
                        revisions.add(event.revision)
                        finished = True
        self.judge("".join(texts) if finished else "", revisions, None if moved else live)

    def judge(self, text: str, revisions: set[str], live: str | None) -> None:
        """Count an answer that is not what it must be; live None: the label was moving."""
        if len(revisions) != 1:
            why = f"from {len(revisions)} revisions"
        elif text.strip() != self.texts.get(next(iter(revisions)), "").strip():
            why = "another revision's words, or not all of them"
        elif live is not None and revisions != {live}:
            why = "of another revision than the one that was live"
        else:
            return
        self.mixed += 1
        self.reasons[why] += 1
