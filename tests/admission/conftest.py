"""Desks with the trained router, in front of a backend that notes what it is asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tame_router.admission.call import Call
from tame_router.admission.caller import Caller
from tame_router.answering.question import Question
from tame_router.audit.record import AuditRecord, Texts
from tame_router.backends.backend import Generation, Piece
from tame_router.catalog.expert import Catalog
from tame_router.chat import FinishReason, Message, Role, Usage
from tame_router.config import Settings
from tame_router.identity.principal import Method, Principal
from tame_router.routing.decision import Constraints
from tame_router.routing.router import Router
from tame_router.tenancy.tenant import ALL_SCOPES, Scope, Tenant
from tame_router.trained_router import build_router

WRITTEN = ("An ", "answer.")
USAGE = Usage(prompt_tokens=11, completion_tokens=4)


class Recording:
    """Answers everything, and notes what it was asked.

    Attributes:
        asked: The generations, in their order.
        then: Called after the words, before the end.
    """

    def __init__(self) -> None:
        self.asked: list[Generation] = []
        self.then: Callable[[], None] = lambda: None
        self.usage: Usage | None = USAGE

    @asynccontextmanager
    async def open(self, generation: Generation) -> AsyncIterator[AsyncIterator[Piece]]:
        """Start an answer."""
        self.asked.append(generation)
        yield self._pieces()

    async def _pieces(self) -> AsyncIterator[Piece]:
        for text in WRITTEN:
            await asyncio.sleep(0)
            yield Piece(text=text)
        self.then()
        await asyncio.sleep(0)
        yield Piece(finish_reason=FinishReason.STOP, usage=self.usage)

    async def context_tokens(self) -> int | None:
        """Not know."""
        return None

    async def ready(self) -> bool:
        """Always be."""
        return True

    async def close(self) -> None:
        """Hold nothing."""


@dataclass
class Kept:
    """A journal in memory."""

    records: list[AuditRecord] = field(default_factory=list)

    def require_room(self) -> None:
        """Have room."""

    def record(self, record: AuditRecord, texts: Texts | None = None) -> None:
        """Keep it."""
        self.records.append(record)


def calls(tenant: Tenant, scopes: frozenset[Scope] = ALL_SCOPES) -> Caller:
    """Give a caller of a tenant."""
    principal = Principal(tenant=tenant.name, subject="key", method=Method.API_KEY, scopes=scopes)
    return Caller(principal=principal, tenant=tenant)


def asks(caller: Caller, text: str = "hello", constraints: Constraints | None = None) -> Call:
    """Give a call."""
    question = Question(
        answer_id="id-12345",
        messages=(Message(role=Role.USER, content=text),),
        constraints=constraints or Constraints(),
    )
    return Call(
        caller=caller,
        question=question,
        edge="grpc",
        operation="chat",
        begin_time=datetime.now(UTC),
    )


@pytest.fixture(scope="session")
def router(trained_settings: Settings, catalog: Catalog) -> Router:
    """Give the trained router."""
    return build_router(trained_settings, catalog)
