"""`tame router review`."""

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tame_router.config import Settings
from tame_router.feedback.store import FeedbackStore
from tests.cli.conftest import Result, Tame
from tests.cli.terminal import Terminal
from tests.feedback.given import kept, said

QUESTION = "監視器拍到鄰居可以公開嗎"
REPEATED = "租約到期前想解約，要賠違約金嗎？"
Review = Callable[..., Result]


@pytest.fixture
def experts(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the small experts that a review may change."""
    source = settings.experts_dir.parent
    for name in ("experts", "adapters"):
        shutil.copytree(source / name, tmp_path / "own" / name)
    monkeypatch.setenv("TAME_EXPERTS_DIR", str(tmp_path / "own" / "experts"))
    return tmp_path / "own" / "experts"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedbackStore]:
    """Give the store that commands use, empty."""
    monkeypatch.setenv("TAME_STATE_DIR", str(tmp_path / "state"))
    with kept(tmp_path / "state") as store:
        yield store


@pytest.fixture
def lines(experts: Path) -> Path:
    """Give the file that legal questions in Chinese go to."""
    return experts / "legal" / "utterances.zh-TW.txt"


@pytest.fixture
def review(tame: Tame, config_file: Path, store: FeedbackStore, lines: Path) -> Review:
    """Give a function that reviews three kinds of feedback: good, repeated, without question."""
    for feedback_id, question in (("good", QUESTION), ("same", REPEATED), ("none", "")):
        store.add(
            said(feedback_id=feedback_id, expert="legal", question=question, comment="是\n法律")
        )
    return lambda *arguments: tame("router", "review", "--config", str(config_file), *arguments)


@pytest.fixture
def typed(review: Review, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[int, str]]:
    """Give a function that reviews on a terminal, and reads what was shown on it."""

    def use(text: str) -> tuple[int, str]:
        screen, keyboard = Terminal(), Terminal(text)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", keyboard)
            patch.setattr(sys, "stdout", screen)
            code = review().code
        return code, screen.getvalue()

    return use


def pending(store: FeedbackStore) -> list[str]:
    """Give the ids of what nobody has decided on."""
    return [feedback.feedback_id for feedback in store.pending()]


def test_pending_feedback_is_listed(review: Review, store: FeedbackStore) -> None:
    """One line each, with what it would teach or why not; nothing is changed."""
    result = review("--list")
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in result.out.splitlines()}
    assert result.code == 0
    assert rows["good"] == [
        "2026-11-24T12:00:00+00:00", "answer-1", "legal", "zh-TW", "", QUESTION, "是 法律", "", "",
    ]  # fmt: skip
    assert rows["same"][3:5] == ["", "REPEATED"]
    assert rows["none"][3:6] == ["", "NO_QUESTION", ""]
    assert pending(store) == ["good", "none", "same"]


def test_pending_feedback_is_listed_for_machines(review: Review) -> None:
    """With --json one object each, the words as they were said."""
    facts = [json.loads(line) for line in review("--list", "--json").out.splitlines()]
    good = next(fact for fact in facts if fact["feedback_id"] == "good")
    assert (good["question"], good["comment"], good["refusal"]) == (QUESTION, "是\n法律", "")


def test_an_empty_list_is_empty(tame: Tame, config_file: Path, store: FeedbackStore) -> None:
    """Without feedback nothing is printed, and that is no failure."""
    result = tame("router", "review", "--list", "--config", str(config_file))
    assert (result.code, result.out, result.err, pending(store)) == (0, "", "", [])


def test_decisions_are_carried_out(review: Review, store: FeedbackStore, lines: Path) -> None:
    """What is approved is the last line of its file, and the next step is told."""
    before = lines.read_text()
    result = review("--approve", "good", "--reject", "none", "same")
    assert result.code == 0
    assert lines.read_text() == f"{before}{QUESTION}\n"
    assert pending(store) == []
    assert result.out.splitlines() == [
        f"good approved added to {lines}: {QUESTION}",
        "none rejected nothing was written",
        "same rejected nothing was written",
        "`tame router train`, or a restart of `tame serve`, makes it count",
    ]


def test_what_cannot_be_decided_fails(review: Review, store: FeedbackStore, lines: Path) -> None:
    """The reason is on standard error, the exit is 1, and the rest is carried out."""
    before = lines.read_text()
    result = review("--approve", "same", "none", "nobody", "good")
    assert result.code == 1
    refusals = result.err.splitlines()
    assert refusals[0].startswith("same refused REPEATED: says the same as legal/utterances.zh-TW")
    assert refusals[1].startswith("none refused NO_QUESTION: ")
    assert refusals[2].startswith("nobody unknown there is no such feedback")
    assert lines.read_text() == f"{before}{QUESTION}\n"
    assert pending(store) == ["none", "same"]


def test_decisions_are_told_to_machines(review: Review) -> None:
    """With --json one object a decision, done or not, and nothing else."""
    result = review("--json", "--approve", "good", "same")
    told = [json.loads(line) for line in result.out.splitlines()]
    assert result.code == 1
    assert [(fact["feedback_id"], fact["result"]) for fact in told] == [
        ("good", "approved"),
        ("same", "refused"),
    ]


def test_a_person_decides_one_after_the_other(
    typed: Callable[[str], tuple[int, str]], store: FeedbackStore, lines: Path
) -> None:
    """Question, comment, expert and line are shown, then the answer is done."""
    code, screen = typed("a\nskip\nR\n")
    assert code == 0
    assert f"question  {QUESTION}\ncomment   是\n          法律\nexpert    legal\n" in screen
    assert f"line      legal, zh-TW: {QUESTION}\n" in screen
    assert f"approved: added to {lines}: {QUESTION}" in screen
    assert "1 approved, 1 rejected, 1 left\n`tame router train`" in screen
    assert lines.read_text().endswith(f"\n{QUESTION}\n")
    assert pending(store) == ["none"]


def test_only_what_can_be_a_line_can_be_approved(
    typed: Callable[[str], tuple[int, str]], store: FeedbackStore
) -> None:
    """Where there is no line the choice is not there, and a wrong key asks again."""
    code, screen = typed("x\ns\na\nq\n")
    assert code == 0
    assert screen.count("[a]pprove, [r]eject, [s]kip, [q]uit? ") == 2
    assert "question  not sent\n" in screen
    assert "line      none: the caller sent no question with it\n" in screen
    assert screen.count("\n[r]eject, [s]kip, [q]uit? ") == 1
    assert "0 approved, 0 rejected, 3 left\n" in screen
    assert "train" not in screen
    assert pending(store) == ["good", "none", "same"]


def test_a_line_that_stands_there_already_is_marked(
    typed: Callable[[str], tuple[int, str]], store: FeedbackStore, lines: Path
) -> None:
    """The line approved a moment before is seen when the next person asked the same."""
    store.add(said(feedback_id="twin", expert="legal", question=QUESTION))
    code, screen = typed("a\ns\ns\na\n")
    assert code == 0
    assert f"line      legal, zh-TW: {QUESTION} (stands there already)\n" in screen
    assert "2 approved, 0 rejected, 2 left" in screen
    assert lines.read_text().count(QUESTION) == 1


def test_the_end_of_input_ends_the_review(
    typed: Callable[[str], tuple[int, str]], store: FeedbackStore
) -> None:
    """Ctrl-D is as good as quitting: what was decided stays."""
    code, screen = typed("r\n")
    assert code == 0
    assert "0 approved, 1 rejected, 2 left" in screen
    assert pending(store) == ["none", "same"]


def test_a_strangers_words_do_not_reach_the_terminal_as_commands(
    typed: Callable[[str], tuple[int, str]], store: FeedbackStore, review: Review
) -> None:
    """Escape sequences and text that runs backwards are shown, not obeyed."""
    evil = "\x1b[2J\u202ekcatta"
    store.add(said(feedback_id="evil", expert="legal", question=evil, comment=evil))
    for shown in (typed("q\n" * 4)[1] + typed("s\n" * 4)[1], review("--list").out):
        assert "\ufffd[2J\ufffdkcatta" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "review asks on a terminal"), (("--list", "--reject", "good"), "--list changes nothing")],
)
def test_a_review_that_makes_no_sense_is_refused(
    review: Review,
    store: FeedbackStore,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a pipe there is nobody to ask; a list decides nothing: the exit is 2."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    result = review(*arguments)
    assert (result.code, result.out) == (2, "")
    assert words in result.err
    assert pending(store) == ["good", "none", "same"]


def test_a_store_that_cannot_be_used_is_named(
    tame: Tame, config_file: Path, experts: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """The operator gets the reason and the setting, and the exit is 1."""
    (tmp_path / "state" / "tame.db").mkdir(parents=True)
    monkeypatch.setenv("TAME_STATE_DIR", str(tmp_path / "state"))
    result = tame("router", "review", "--list", "--config", str(config_file))
    assert result.code == 1
    assert result.err.startswith("tame: STORE_UNAVAILABLE: the store cannot be used now: unable")
    assert "check store.url" in result.err
