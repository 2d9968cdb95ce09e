"""Simplified becomes Traditional, however the text is cut; what is right stays as it is."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.answering.callers_text import CallersText
from tame_router.answering.conversion import Conversion
from tame_router.answering.han_run import BEHIND_CHARS, HanRun
from tame_router.answering.phrases import LONGEST_CHARS, load_phrases
from tame_router.answering.question import Question
from tame_router.chat import Document, Message, Role
from tests.answering.guarded_sentences import LEAKING, LEFT_ALONE, UNTOUCHED

ROOT = Path(__file__).resolve().parents[2]
PHRASES = load_phrases()
CALLER = Question(
    answer_id="id",
    messages=(
        Message(role=Role.SYSTEM, content="回答要簡短。"),
        Message(role=Role.USER, content="合約裡的违约金是什麼？「发」又怎麼念？"),
        Message(role=Role.ASSISTANT, content="就是软件。"),
        Message(role=Role.TOOL, content="劳动合同到期不续签", tool_call_id="c"),
    ),
    documents=(Document(text="第一条：用人单位应当按月支付工资。"),),
)
NOBODY = HanRun(PHRASES, CallersText(Question(answer_id="id", messages=()), PHRASES))
SOMEBODY = HanRun(PHRASES, CallersText(CALLER, PHRASES))

PIECES = (
    *(
        "皇后",
        "头发",
        "干了",
        "里面",
        "里長",
        "説",
        "说",
        "这",
        "國",
        "、",
        "，",
        "。",
        "「",
        "」",
        "\n",
        " ",
    ),
    *(
        "`",
        "``",
        "```",
        "```\n",
        "~~~",
        "\n~~~\n",
        "/",
        ":",
        "https://a.b/",
        "の",
        "国会",
        "学",
        "違约",
    ),
    *(
        "劳动",
        "合同",
        "到期",
        "不续签",
        "违约",
        "金",
        "面条",
        "軟",
        "软件",
        "打印",
        "信息",
        "什么",
        "乾隆",
    ),
    *("後", "后", "只", "系", "面", "发", "台", "着", "abc", "工资", "白发", "苍", "\U0001f600"),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join),
    st.lists(st.sampled_from([pair[0] for pair in LEAKING]), max_size=3).map("".join),
    st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=40),
)


def converted(pieces: Iterable[str], runs: HanRun = NOBODY) -> str:
    """Convert a text that comes in pieces."""
    conversion = Conversion(runs)
    return "".join([*map(conversion.feed, pieces), conversion.end()])


@pytest.mark.parametrize(("leaking", "wanted"), LEAKING)
def test_what_leaks_is_written_as_in_taiwan(leaking: str, wanted: str) -> None:
    """Each character follows its phrase, whole or one character at a time."""
    assert converted([leaking]) == wanted
    assert converted(leaking) == wanted


@pytest.mark.parametrize("text", [*UNTOUCHED, *(wanted for _, wanted in LEAKING)])
def test_what_is_traditional_stays(text: str) -> None:
    """Traditional text passes byte for byte, and nothing of it counts as Simplified."""
    conversion = Conversion(NOBODY)
    assert conversion.feed(text) + conversion.end() == text
    assert conversion.changed == 0
    assert converted(text) == text


@pytest.mark.parametrize(("text", "wanted"), LEFT_ALONE)
def test_code_and_addresses_are_left_alone(text: str, wanted: str) -> None:
    """Fences, backticks and addresses pass; the text around them does not."""
    assert converted([text]) == wanted
    assert converted(text) == wanted


def test_the_experts_own_lines_stay() -> None:
    """Of some thirteen thousand lines written in Taiwan not one character is touched."""
    files = sorted(ROOT.glob("experts/*/*.zh-TW.txt"))
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    assert len(lines) > 10_000
    assert [line for line in lines if converted([line]) != line] == []


@given(text=TEXTS, cuts=st.lists(st.integers(1, 6), min_size=1, max_size=8), own=st.booleans())
def test_how_a_text_is_cut_does_not_matter(text: str, cuts: list[int], own: bool) -> None:
    """For any text and any cut the pieces that go out make up what the whole becomes."""
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = cuts[turn % len(cuts)]
        pieces.append(text[at : at + size])
        at, turn = at + size, turn + 1
    runs = SOMEBODY if own else NOBODY
    whole, cut = Conversion(runs), Conversion(runs)
    wanted = whole.feed(text) + whole.end()
    assert "".join([*map(cut.feed, pieces), cut.end()]) == wanted
    assert (cut.seen, cut.changed) == (whole.seen, whole.changed) == (len(text), whole.changed)


@given(TEXTS)
def test_little_waits_and_not_for_long(text: str) -> None:
    """What waits begins with a character in question, and is never longer than two phrases."""
    conversion, out = Conversion(NOBODY), ""
    for number, character in enumerate(text, start=1):
        out += conversion.feed(character)
        # A word may have grown or shrunk: at most one in three characters of what went out.
        assert number - len(out) <= 2 * LONGEST_CHARS + BEHIND_CHARS + number // 3


@pytest.mark.parametrize(
    "text",
    [
        "An answer in English, with `code`, a/b and https://a.example/x?y=1.",
        "依照勞動基準法，應給付資遣費；請洽當地主管機關。",
        "日本です。한국어",
    ],
)
def test_other_text_never_waits(text: str) -> None:
    """Without a character in question every piece goes out as it came."""
    conversion = Conversion(NOBODY)
    assert [conversion.feed(character) for character in text] == list(text)
    assert conversion.end() == ""


def test_only_the_character_in_question_waits() -> None:
    """What stands before it has gone out; the next character decides, or the end."""
    conversion = Conversion(NOBODY)
    assert conversion.feed("他的头") == "他的"
    assert conversion.feed("发很") == "頭髮很"
    assert conversion.feed("长") == ""
    assert conversion.end() == "長"
    assert (conversion.seen, conversion.changed) == (6, 3)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("违约金的发票", "违约金的發票"),  # words of the caller's message
        ("依「违约金」条款", "依「违约金」條款"),
        ("「发」是多音字，发展", "「发」是多音字，發展"),
        ("他说软件", "他說軟體"),  # what an answer said before is not the caller's
        ("劳动合同到期", "劳动合同到期"),  # four characters of a tool's result
        ("劳动的价值", "勞動的價值"),  # two of them are any text's
        ("支付工资", "支付工资"),
        ("付了工资", "付了工資"),
        ("「工资」二字", "「工资」二字"),
    ],
)
def test_the_callers_own_text_is_quoted_as_it_is(text: str, wanted: str) -> None:
    """What the caller wrote stays, and so does a longer stretch, or a quotation, of documents."""
    assert converted([text], SOMEBODY) == wanted
    assert converted(text, SOMEBODY) == wanted
