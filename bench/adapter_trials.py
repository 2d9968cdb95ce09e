"""Canaries and shadows as deeds: a revision is tried on questions until the router has decided.

A good canary answers all by itself, a worse one is taken back, a good shadow is found so. What is
known of one is lost with the process, and its trial begins anew; the label says where it stands.
"""

import asyncio
import contextlib
import dataclasses
import enum
import itertools
import uuid
from collections.abc import Sequence
from typing import Final

from bench.adapter_rig import EXPERT, QUESTION, Service
from tame_router.client.adapter import Label
from tame_router.client.async_client import AsyncClient
from tame_router.errors import TameError
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Refuse

CANARY_SHARE: Final = 0.5
SHADOW_SHARE: Final = 0.9
ASKERS: Final = 2
ROUND: Final = 10
"""Questions of one asker between two looks at the label."""

MOST: Final = 4000
"""Questions after which a trial that has not ended counts as one that never will."""


class Kind(enum.Enum):
    """What is tried, and how that must end: the moves of the label, the second by the router."""

    CANARY = ("canary", "publish")
    WORSE = ("canary", "rollback")
    SHADOW = ("shadow", "prove")


class Tried:
    """A revision is published to a share of the conversations, and questions are asked.

    Args:
        fake: The engine; a worse canary fails there.
        before: The label before.
        target: The revision.
        kind: What is tried.
    """

    def __init__(self, fake: FakeVllm, before: Label, target: str, kind: Kind) -> None:
        self._fake = fake
        self._before = before
        self._target = target
        self._kind = kind
        self._request_id = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._published = False
        self._ended = False
        self._wrong: list[str] = []

    async def do(self, client: AsyncClient) -> None:
        """Publish it so, and ask until the router has decided."""
        await self._publish(client)
        self._published = True
        await self._until_decided(client)
        self._ended = True

    async def check(self, client: AsyncClient, service: Service) -> Sequence[str]:
        """See that it is tried, or was decided on, where that was told; and let it come to its end.

        Nobody is ever given an answer of a shadow.
        """
        wrong = self._wrong
        found = await _label(client)
        steps = found.generation - self._before.generation
        if not int(self._published) + int(self._ended) <= steps <= 2:
            wrong.append(f"{self._target} was tried as {self._kind.name}, and the label is {found}")
        again = await self._publish(client)
        if again.generation != self._before.generation + 1 or not self._tries(again):
            wrong.append(f"asked for a trial of {self._target} again, the label became {again}")
        await self._until_decided(client)
        await self._look_back(client)
        await self.settle(client)
        return wrong

    async def settle(self, client: AsyncClient) -> None:
        """End a shadow, which stays when it was found good."""
        if self._kind is not Kind.SHADOW:
            return
        label = await client.adapters.rollback(EXPERT)
        if label.live != self._live or label.shadow:
            self._wrong.append(f"the shadow {self._target} was ended, and the label is {label}")

    @property
    def _live(self) -> str:
        return self._before.live

    async def _publish(self, client: AsyncClient) -> Label:
        shadow = self._kind is Kind.SHADOW
        done = await client.adapters.publish(
            self._target,
            canary_share=None if shadow else CANARY_SHARE,
            shadow_share=SHADOW_SHARE if shadow else None,
            request_id=self._request_id,
        )
        return done.label

    def _tries(self, label: Label) -> bool:
        named = label.shadow if self._kind is Kind.SHADOW else label.canary
        return named == self._target and label.live == self._live

    def _decided(self, label: Label) -> bool:
        """Tell whether a trial has ended."""
        if self._kind is Kind.SHADOW:
            return label.shadow_good
        return label.generation > self._before.generation + 1

    async def _until_decided(self, client: AsyncClient) -> None:
        """Ask until the router has decided.

        Raises:
            TameError: When the service is killed meanwhile.
        """
        if self._kind is Kind.WORSE:
            self._fake.faults[self._target] = Refuse(status=500)
        try:
            while not self._decided(await _label(client)):
                if next(self._numbers) * ROUND * ASKERS > MOST:
                    self._wrong.append(f"after {MOST} questions {self._target} is on trial still")
                    return
                async with asyncio.TaskGroup() as group:
                    for _ in range(ASKERS):
                        group.create_task(self._ask(client))
        finally:
            self._fake.faults.pop(self._target, None)

    async def _ask(self, client: AsyncClient) -> None:
        """Ask some questions, each the first of a conversation; only who may must answer.

        A service that is gone shows in the next look at the label, and a worse canary fails.
        """
        may = {self._live} if self._kind is Kind.SHADOW else {self._live, self._target}
        for _ in range(ROUND):
            with contextlib.suppress(TameError):
                answer = await client.chat(f"{QUESTION} ({uuid.uuid4().hex[:8]})", expert=EXPERT)
                revisions = {finished.revision for finished in answer.experts}
                if not revisions <= may:
                    self._wrong.append(f"{revisions - may} answered beside {self._target}")

    async def _look_back(self, client: AsyncClient) -> None:
        """See that the label moved as it must, once each, and who moved it."""
        label = await _label(client)
        live = self._target if self._kind is Kind.CANARY else self._live
        if label.live != live or label.canary:
            self._wrong.append(f"the trial of {self._target} is over, and the label is {label}")
        found = await client.adapters.history(EXPERT, most=2)
        second, first = found.changes
        if (first.action, second.action) != self._kind.value:
            self._wrong.append(
                f"{self._kind.name}: the label moved by {first.action}, {second.action}"
            )
        if not first.tenant or second.tenant:
            self._wrong.append(f"{self._kind.name}: moved by {first.tenant!r}, {second.tenant!r}")
        if self._kind is Kind.SHADOW:
            await self._require_hidden(client)

    async def _require_hidden(self, client: AsyncClient) -> None:
        """See that nobody can ask the shadow by its name."""
        with contextlib.suppress(TameError):
            await client.chat(QUESTION, expert=EXPERT, revision=self._target)
            self._wrong.append(f"the shadow {self._target} answered a caller")


def as_in_history(label: Label) -> Label:
    """Give a label as the history tells of it: that a shadow is good is a move of its own."""
    return dataclasses.replace(label, shadow_good=False)


async def _label(client: AsyncClient) -> Label:
    return (await client.adapters.history(EXPERT, most=1)).label
