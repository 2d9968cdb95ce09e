"""The experts of this repository, taught by their own lines."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tame_router.chat import Message, Role
from tame_router.routing.artefact import Artefact, encode
from tame_router.routing.decision import Constraints
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy
from tame_router.teaching.corpus import Corpus, read_corpus
from tame_router.teaching.corpus_check import check_corpus
from tame_router.teaching.training import train

pytestmark = pytest.mark.timeout(300)  # the first of them waits until the router is trained

EXPERTS = Path(__file__).parents[2] / "experts"
DIALOGUES = Path(__file__).with_name("dialogues.jsonl")

QUESTIONS = {
    "房東不退押金，可以寄存證信函嗎？": "legal",
    "Can my employer fire me without notice?": "legal",
    "小孩發燒到 39 度要不要送急診": "medical",
    "Is it safe to take ibuprofen with blood pressure medicine?": "medical",
    "射出成型件縮水怎麼改善": "manufacturing",
    "How do I reduce chatter on a CNC lathe?": "manufacturing",
    "MOSFET 的 gate driver 要怎麼選？": "electronics",
    "My op amp output saturates at the supply rail": "electronics",
    "推薦台北三天兩夜的行程": "general",
    "Write a short poem about autumn": "general",
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Give the lines of this repository's experts."""
    folders = {p.name: p for p in EXPERTS.iterdir() if any(p.glob("utterances.*.txt"))}
    corpus, problems = read_corpus(folders)
    assert [str(p) for p in problems if p.fatal] == []
    return corpus


@pytest.fixture(scope="module")
def artefact(corpus: Corpus) -> Artefact:
    """Give the router trained on them."""
    return train(corpus, created=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def router(artefact: Artefact) -> Router:
    """Give a router with the default policy."""
    return Router(LexicalClassifier(artefact.parameters, artefact.digest), SelectionPolicy())


def test_no_line_teaches_a_contradiction(corpus: Corpus) -> None:
    """No line stands in two domains."""
    assert [str(p) for p in check_corpus(corpus) if p.fatal] == []


def test_held_out_lines_are_told_apart(artefact: Artefact) -> None:
    """Lines of sub-topics held out whole go to their expert, with honest probabilities."""
    measures = artefact.measures
    assert min(measures.accuracy.values()) >= 0.75
    assert measures.calibration_error <= 0.04


def test_the_artefact_is_small(artefact: Artefact) -> None:
    """Both files together stay below eight megabytes."""
    assert sum(map(len, encode(artefact))) < 8_000_000


@pytest.mark.parametrize(("text", "expert"), QUESTIONS.items())
def test_plain_questions_go_to_their_expert(router: Router, text: str, expert: str) -> None:
    """Questions that leave no doubt have none."""
    decision = router.route([Message(role=Role.USER, content=text)], Constraints(max_experts=1))
    assert decision.lead == expert


@pytest.mark.parametrize(
    ("simplified", "traditional"),
    [
        ("劳动合同到期不续签有补偿吗", "勞動合同到期不續簽有補償嗎"),
        ("孩子发烧三十九度要不要去医院", "孩子發燒三十九度要不要去醫院"),
        ("电路板的阻抗怎么控制", "電路板的阻抗怎麼控制"),
    ],
)
def test_simplified_questions_go_where_traditional_ones_do(
    router: Router, simplified: str, traditional: str
) -> None:
    """Both scripts have the same probabilities, and each its language."""
    one, other = (
        router.route([Message(role=Role.USER, content=text)]) for text in (simplified, traditional)
    )
    assert one.lead == other.lead != "general"
    assert one.probabilities == other.probabilities
    assert (one.language, other.language) == ("zh-CN", "zh-TW")


def test_conversations_stay_and_move(router: Router) -> None:
    """The last turn goes to the right expert in most dialogues, more than it does alone."""
    dialogues = [json.loads(line) for line in DIALOGUES.read_text(encoding="utf-8").splitlines()]

    def right(*, only_last: bool) -> int:
        return sum(
            router.route(
                [Message(role=Role.USER, content=t) for t in d["turns"][-1 if only_last else 0 :]]
            ).lead
            == d["expert"]
            for d in dialogues
        )

    together, alone = right(only_last=False), right(only_last=True)
    assert together >= 0.8 * len(dialogues)
    assert together > alone + 0.2 * len(dialogues)
