"""The caller's own Simplified text: what an answer may quote as it stands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tame_router.answering.phrases import Phrases
from tame_router.answering.question import Question
from tame_router.chat import Role

SAID_CHARS: Final = 2
"""Characters in a row from which words of a conversation count as quoted."""

GIVEN_CHARS: Final = 4
"""The same of documents and tools' results: long texts have every short word somewhere."""

_HAN_RUN: Final = re.compile("[\u3400-\u9fff]+")


@dataclass(frozen=True)
class CallersText:
    """What the caller of one question wrote or brought along; gathered when first asked.

    Args:
        question: What is asked.
        phrases: The table.
    """

    question: Question
    phrases: Phrases

    @cached_property
    def said(self) -> str:
        """Stretches of the caller's messages that have Simplified characters, a line each."""
        roles = {Role.SYSTEM, Role.USER}
        return self._stretches(m.content for m in self.question.messages if m.role in roles)

    @cached_property
    def given(self) -> str:
        """The same of documents and tools' results."""
        tools = [m.content for m in self.question.messages if m.role is Role.TOOL]
        return self._stretches([*tools, *(d.text for d in self.question.documents)])

    def _stretches(self, texts: Iterable[str]) -> str:
        only = self.phrases.only
        runs = (run for text in texts for run in _HAN_RUN.findall(text))
        return "\n".join(run for run in runs if not only.isdisjoint(run))
