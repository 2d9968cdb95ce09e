"""Which answers count for a canary, and as what."""

import pytest

from tame_router.answering.event import ExpertFinish, Note, Part
from tame_router.chat import FinishReason, Usage
from tame_router.config_registry import CanarySettings
from tame_router.errors import (
    BackendOverloadedError,
    BackendUnavailableError,
    DeadlineExceededError,
    InvalidRequestError,
    TameError,
)
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.registry.canary.witness import MOST_OF_ONE, REMEMBERED, Witness

LIVE, CANARY = "legal--1", "legal--2"


@pytest.fixture
def watch() -> CanaryWatch:
    """Give a watch over one canary of the legal expert."""
    watch = CanaryWatch(CanarySettings(), lambda *_: None)
    watch.begin("legal", LIVE, CANARY)
    return watch


def counted(watch: CanaryWatch) -> tuple[int, int]:
    """Give the answers of the live one and of the canary that were seen."""
    standing = watch.standing("legal")
    assert standing is not None
    return standing.live_answers, standing.canary_answers


def finish(revision: str) -> ExpertFinish:
    """Give the end of an answer."""
    return ExpertFinish(
        expert="legal",
        revision=revision,
        finish_reason=FinishReason.STOP,
        usage=Usage(prompt_tokens=1, completion_tokens=9),
        time_to_first_token_s=0.1,
        elapsed_s=1.0,
        notice="",
    )


def test_the_first_few_answers_of_a_conversation_count(watch: CanaryWatch) -> None:
    """Of each so many do, however many conversations there are; the oldest are forgotten."""
    witness = Witness(watch)
    assert [witness.admits(lambda: "a") for _ in range(MOST_OF_ONE + 2)] == [
        *[True] * MOST_OF_ONE,
        False,
        False,
    ]
    assert witness.admits(lambda: "b")
    for number in range(REMEMBERED):
        witness.admits(lambda number=number: f"other {number}")  # type: ignore[misc]
    assert witness.admits(lambda: "a")


def test_nothing_is_asked_while_there_is_no_canary() -> None:
    """A conversation's name is long, and nobody needs it then."""

    def never() -> str:
        raise AssertionError

    assert not Witness().admits(never)
    assert not Witness(CanaryWatch(CanarySettings(), lambda *_: None)).admits(never)


def test_ends_and_failures_are_told(watch: CanaryWatch) -> None:
    """An end, a note that says why an expert left, and an error, each of its revision."""
    witness = Witness(watch)
    witness.see(finish(LIVE))
    witness.see(finish(CANARY))
    note = Note(
        expert="legal", revision=CANARY, part=Part.LEAD, reason="BACKEND_SILENT", message="silent"
    )
    witness.see(note)
    assert counted(watch) == (1, 2)


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (BackendUnavailableError("gone"), True),
        (DeadlineExceededError("too late"), True),
        (BackendOverloadedError("full"), False),
        (InvalidRequestError("wrong"), False),
    ],
)
def test_what_the_backend_is_to_blame_for_counts(
    watch: CanaryWatch, error: TameError, counts: bool
) -> None:
    """Its failures do, and deadlines it lets pass; the caller's faults, and want of room, not."""
    error.metadata.update(expert="legal", revision=CANARY)
    Witness(watch).failed(error)
    assert counted(watch) == (0, int(counts))
