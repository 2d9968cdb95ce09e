"""CPU time of the edge alone: answers with identity, quota, audit, metrics, less those without."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from pydantic import SecretStr

from bench.overhead import QUESTION
from tame_router import app
from tame_router.admission.call import Call
from tame_router.admission.desk import Desk
from tame_router.admission.reception import Reception
from tame_router.answering.event import Delta, Event, ExpertFinish, ExpertStart
from tame_router.answering.join import Emit
from tame_router.answering.pipeline import Pipeline
from tame_router.answering.question import Question
from tame_router.bookkeeping import open_books
from tame_router.catalog.expert import Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.chat import FinishReason, Message, Role, Usage
from tame_router.config import Settings
from tame_router.config_access import ReceiptSettings
from tame_router.config_file import load_settings
from tame_router.identity import api_key
from tame_router.identity.build import build_authenticator
from tame_router.identity.credentials import Credentials
from tame_router.quota.keeper import FLUSH_S
from tame_router.telemetry.telemetry import Telemetry, build_telemetry
from tame_router.telemetry.trace import read_carrier
from tame_router.tenancy.access import ApiKey
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tenant import EVERY_EXPERT, Limits, Scope, Tenant
from tame_router.trained_router import build_router

FEW, MANY = 1, 201
ROUNDS = 8
PLENTY = 10**12

WRITTEN_S = FLUSH_S + 0.25
"""Time after which what an answer left behind has been written.

Counts wait longest, `FLUSH_S` from the first of them: with less, the writing of one measurement
could fall into the next, where it would be taken from the difference instead of added to it.
"""


class ScriptedJoin:
    """Writes the same pieces every time: what an expert takes is no part of the difference.

    Args:
        chunks: Pieces of the answer.
    """

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks

    async def run(
        self, experts: Sequence[Expert], question: Question, language: str, emit: Emit
    ) -> Sequence[ExpertFinish]:
        """Write them."""
        name, revision = experts[0].name, experts[0].live_revision
        await emit(ExpertStart(expert=name, revision=revision, notice=""))
        for _ in range(self.chunks):
            await emit(Delta(expert=name, revision=revision, text="依民法規定，"))
        finish = ExpertFinish(
            expert=name,
            revision=revision,
            finish_reason=FinishReason.STOP,
            usage=Usage(prompt_tokens=80, completion_tokens=self.chunks),
            time_to_first_token_s=0.01,
            elapsed_s=0.1,
            notice="",
        )
        await emit(finish)
        return (finish,)


class Known:
    """A directory that never changes.

    Args:
        snapshot: What it knows.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def snapshot(self) -> Snapshot:
        """Give it."""
        return self._snapshot


async def _nothing(event: Event) -> None:
    """Take an event."""


def _question() -> Question:
    return Question(
        answer_id=secrets.token_hex(16), messages=(Message(role=Role.USER, content=QUESTION),)
    )


def _settings(folder: Path, *, receipts: Path | None) -> Settings:
    settings = load_settings()
    store = settings.store.model_copy(
        update={"url": SecretStr(f"sqlite:///{folder / 'edge_cpu.db'}")}
    )
    return settings.model_copy(
        update={"store": store, "receipts": ReceiptSettings(key_file=receipts)}
    )


async def _timed(ask: Callable[[], Awaitable[None]], answers: int) -> float:
    """Give the CPU time of an answer, in microseconds, of all threads of this process."""
    begun = time.process_time()
    for _ in range(answers):
        await ask()
    # Records and counts are written behind: what they cost belongs to these answers.
    await asyncio.sleep(WRITTEN_S)
    return (time.process_time() - begun) / answers * 1e6


async def _measure(settings: Settings, answers: int) -> dict[str, float]:
    catalog = app.build_catalog(settings)
    made = api_key.make()
    key = ApiKey(
        key_id=made.key_id,
        digest=made.digest,
        tenant="bench",
        scopes=frozenset((Scope.CHAT,)),
        title="",
        create_time=datetime.now(UTC),
    )
    limits = Limits(
        requests_per_minute=PLENTY,
        requests_per_day=PLENTY,
        tokens_per_minute=PLENTY,
        tokens_per_day=PLENTY,
        concurrent_streams=PLENTY,
    )
    tenant = Tenant(name="bench", read=frozenset((EVERY_EXPERT,)), limits=limits)
    directory = Known(Snapshot.of([tenant], [key]))
    telemetry = build_telemetry(settings.telemetry, settings.backends)
    join = ScriptedJoin(FEW)
    pipeline = Pipeline(LiveCatalog(catalog), build_router(settings, catalog), join)
    reception = Reception(build_authenticator(settings, directory), directory)
    credentials = Credentials(authorization=(f"Bearer {made.key}",))
    costs: dict[int, list[float]] = {FEW: [], MANY: []}
    async with open_books(settings, telemetry.recorder) as books:
        desk = Desk(LiveCatalog(catalog), pipeline, books)

        async def bare() -> None:
            await pipeline.answer(_question(), _nothing)

        async def full() -> None:
            await _full(reception, desk, telemetry, credentials)

        for round_number in range(ROUNDS + 1):
            for join.chunks, differences in costs.items():
                without = await _timed(bare, answers // ROUNDS)
                cost = await _timed(full, answers // ROUNDS) - without
                if round_number:  # the first warms up
                    differences.append(cost)
    await reception.close()
    await telemetry.close()
    few, many = (statistics.median(costs[chunks]) for chunks in (FEW, MANY))
    chunk = (many - few) / (MANY - FEW)
    return {"request_us": round(few - FEW * chunk, 1), "chunk_us": round(chunk, 2)}


async def _full(
    reception: Reception, desk: Desk, telemetry: Telemetry, credentials: Credentials
) -> None:
    """Answer as an edge does."""
    recorder = telemetry.recorder
    recording = recorder.begin("grpc", "StreamChat", read_carrier(()))
    try:
        caller = await reception.receive(credentials)
        recording.identified(caller.tenant.name)
        call = Call(
            caller=caller,
            question=_question(),
            edge="grpc",
            operation="stream_chat",
            begin_time=datetime.now(UTC),
        )
        await desk.answer(call, _nothing)
    finally:
        recorder.finish(recording)


def cpu_us(folder: Path, answers: int, receipts: Path | None = None) -> dict[str, float]:
    """Give `request_us` and `chunk_us`.

    Args:
        folder: Where the store may lie.
        answers: Answers of each kind and length.
        receipts: Key that signs receipts; None: none are signed.
    """
    settings = _settings(folder, receipts=receipts)
    return uvloop.run(_measure(settings, answers))
