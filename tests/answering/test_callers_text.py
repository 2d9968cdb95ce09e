"""The caller's own Simplified text, as far as answers may quote it."""

from tame_router.answering.callers_text import MAX_CHARS, CallersText, Stretches
from tame_router.answering.phrases import load_phrases
from tame_router.answering.question import Question
from tame_router.chat import Document, Message, Role


def test_stretches_are_found_and_nothing_else() -> None:
    """Any part of a stretch occurs; what only its pairs make up does not."""
    known = Stretches(["头发很长", "长发很多"])
    assert all(part in known for part in ("头发", "发很长", "头发很长", "发"))
    assert not any(part in known for part in ("长长", "头发很多", "理发"))


def test_so_much_is_kept() -> None:
    """What lies beyond the limit is not searched."""
    known = Stretches(["说" * MAX_CHARS, "头发"])
    assert "说说" in known
    assert "头发" not in known


def test_an_answer_given_before_is_not_the_callers() -> None:
    """User and system messages are said, tools' results and documents given; nobody's is ours."""
    messages = (
        Message(role=Role.SYSTEM, content="系统"),
        Message(role=Role.USER, content="问题，問題"),
        Message(role=Role.ASSISTANT, content="软件"),
        Message(role=Role.TOOL, content="结果", tool_call_id="c"),
    )
    question = Question(answer_id="id", messages=messages, documents=(Document(text="文档"),))
    callers = CallersText(question, load_phrases())
    assert [word in callers.said for word in ("系统", "问题", "問題", "软件", "结果")] == [
        *(True, True, False, False, False)
    ]
    assert [word in callers.given for word in ("结果", "文档", "问题")] == [True, True, False]
