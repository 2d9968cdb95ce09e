"""What a model among several can do wrong, and many answers with faults at the same time.

Most such answers only wait for a limit: side by side they take no longer than one.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import anyio

from tame_router.config import Settings
from tame_router.errors import TameError
from tests.fakes.vllm_script import Case, Cut, Fault, HangUp, Pace, Refuse, Silence
from tests.router_fixture import changed

DEADLINE_S: Final = 6.0
LIMITS: Final = {"first_token_timeout_s": 4.0, "stall_timeout_s": 4.0}
AT_ONCE: Final = 20
"""Answers at a time: as many as a busy machine can still do in time."""

FAULTS: Final[Mapping[str, Fault]] = {
    "refuses": Refuse(status=400),
    "is overloaded": Refuse(status=503),
    "is dead": HangUp(),
    "stalls": Silence(events=None),
    "falls silent": Silence(events=4),
    "dies in the middle": Cut(after_bytes=900),
}
MANNERS: Final = {"is slow": ("嗯" * 40, 0.8), "babbles": ("嗯" * 1_100, 0.05)}
"""What is written, and the time between tokens, in seconds."""

_GIVEN_UP: Final = {"DEADLINE_EXCEEDED", "NOT_WAITED_FOR"}
REASONS: Final[Mapping[str, set[str]]] = {
    "refuses": {"INVALID_REQUEST"},
    "is overloaded": {"BACKEND_UNAVAILABLE"},
    "is dead": {"BACKEND_UNAVAILABLE"},
    "stalls": {"BACKEND_SILENT", *_GIVEN_UP},
    "falls silent": {"BACKEND_SILENT", *_GIVEN_UP},
    "dies in the middle": {"STREAM_BROKEN"},
    "is slow": _GIVEN_UP,
    "babbles": _GIVEN_UP,
}
"""What notes say of it."""

CaseT = TypeVar("CaseT")


def faulty(model: str, fault: str) -> Case:
    """Have one model do something wrong."""
    if fault in FAULTS:
        return Case(faults={model: FAULTS[fault]})
    text, token_s = MANNERS[fault]
    return Case(texts={model: text}, paces={model: Pace(token_s=token_s)})


def unlimited(settings: Settings) -> Settings:
    """Give settings without a queue: so many failures would lower its limit, and others wait."""
    return changed(settings, local={"queue": {"enabled": False}})


def numbered(cases: list[CaseT]) -> dict[str, CaseT]:
    """Give each case a word, for questions and `FakeVllm.cases`."""
    return {f"（第 {number} 題）": case for number, case in enumerate(cases, 1)}


async def try_all(
    cases: Mapping[str, CaseT], one: Callable[[str, CaseT], Awaitable[None]]
) -> dict[CaseT, Exception]:
    """Try every case, some at a time, and give what went wrong.

    Args:
        cases: By the word of each.
        one: Asks with this word, and looks at the answer.
    """
    wrong: dict[CaseT, Exception] = {}
    some = anyio.CapacityLimiter(AT_ONCE)

    async def attempt(word: str, case: CaseT) -> None:
        async with some:
            try:
                await one(word, case)
            except (AssertionError, ValueError, TameError) as error:
                wrong[case] = error

    async with anyio.create_task_group() as group:
        for word, case in cases.items():
            group.start_soon(attempt, word, case)
    return wrong
