"""Clients that stream without pause while labels move, and what they saw."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tame_router.chat import Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import DecisionMade, Delta, ExpertFinish, ExpertStart
from tame_router.errors import TameError

QUESTION = "My landlord keeps my deposit after I moved out. What can I do?"
SAMPLING = Sampling(max_tokens=12, temperature=0.0)


@dataclass
class Crowd:
    """The clients.

    Attributes:
        forms: How answers of each revision begin, as a pattern: by its words is seen whose they
            are, whatever name they come under.
        admitting: Revisions that may answer a question that is admitted now.
        epochs: All that `admitting` has been, in order.
        answers: Answers that ended as they must.
        failed: Errors of those that did not end.
        mixed: What is wrong with those that are of several revisions, or not of the live one.
        started: When each revision's first answer since the latest move began, by
            `time.perf_counter`.
    """

    forms: Mapping[str, str]
    admitting: frozenset[str]
    epochs: list[frozenset[str]] = field(default_factory=list)
    answers: int = 0
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    started: dict[str, float] = field(default_factory=dict)
    stopping: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Begin with the first epoch."""
        self._admit(self.admitting)

    @asynccontextmanager
    async def moving(self, to: str) -> AsyncIterator[None]:
        """Move from what answers to another: in between either may, and afterwards only that."""
        self._admit(self.admitting | {to})
        self.started.clear()
        yield
        self._admit(frozenset({to}))

    @asynccontextmanager
    async def streaming(self, client: AsyncClient, clients: int) -> AsyncIterator[None]:
        """Let so many clients ask again and again, until the context is left."""
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self._ask_on(client))
            try:
                yield
            finally:
                self.stopping = True

    async def more(self, count: int) -> None:
        """Wait for so many further answers, whatever became of them."""
        wanted = self._ended + count
        while self._ended < wanted:
            self.news.clear()
            await self.news.wait()

    def _admit(self, names: frozenset[str]) -> None:
        self.admitting = names
        self.epochs.append(names)

    @property
    def _ended(self) -> int:
        return self.answers + len(self.failed) + len(self.mixed)

    async def _ask_on(self, client: AsyncClient) -> None:
        while not self.stopping:
            try:
                await self._ask(client)
            except TameError as error:
                self.failed.append(f"{error.reason}: {error.message}")
            self.news.set()

    async def _ask(self, client: AsyncClient) -> None:
        begun, admitted = len(self.epochs) - 1, 0
        names: set[str] = set()
        text = ""
        async with client.stream(QUESTION, expert="legal", sampling=SAMPLING) as events:
            async for event in events:
                match event:
                    case DecisionMade():
                        admitted = len(self.epochs) - 1
                    case ExpertStart():
                        names.add(event.revision)
                        self.started.setdefault(event.revision, time.perf_counter())
                    case Delta():
                        names.add(event.revision)
                        text += event.text
                    case ExpertFinish():
                        names.add(event.revision)
        live = frozenset().union(*self.epochs[begun : admitted + 1])
        form = self.forms[min(names)]
        if len(names) == 1 and names <= live and re.match(form, text.strip()):
            self.answers += 1
        else:
            self.mixed.append(f"{text!r} of {sorted(names)} where {sorted(live)} could answer")
