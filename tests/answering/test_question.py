"""A question: what is added for its caller changes nothing else of it."""

import dataclasses
from typing import Any

from tame_router.answering.question import Question
from tame_router.chat import Message, Role


def test_an_admitted_question_keeps_everything_else() -> None:
    """Every field but the three is the one it was, fields that are yet to come too."""
    asked = Question(answer_id="a", messages=(Message(role=Role.USER, content="問"),))
    marked: dict[str, Any] = {field.name: object() for field in dataclasses.fields(Question)}
    marked |= {"answer_id": asked.answer_id, "messages": asked.messages}
    asked = dataclasses.replace(asked, **marked)
    added: Any = {"visible": frozenset({"law"}), "joins": frozenset({"fuse"}), "trace": {"a": "b"}}
    assert asked.admitted(*added.values()) == dataclasses.replace(asked, **added)
