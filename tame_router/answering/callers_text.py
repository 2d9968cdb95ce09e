"""The caller's own Simplified text: what an answer may quote as it stands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

from tame_router.answering.phrases import Phrases
from tame_router.answering.question import Question
from tame_router.chat import Role

SAID_CHARS: Final = 2
"""Characters in a row from which words of a conversation count as quoted."""

GIVEN_CHARS: Final = 4
"""The same of documents and tools' results: long texts have every short word somewhere."""

MAX_CHARS: Final = 2**16
"""Characters of messages, and of documents, that are kept: a search must stay short."""

_HAN_RUN: Final = re.compile("[\u3400-\u9fff]+")


class Stretches:
    """Stretches of Chinese text, and a quick way to tell what does not occur in them.

    Args:
        runs: The stretches; what is beyond `MAX_CHARS` is left out.
    """

    __slots__ = ("_known", "_pairs", "_text")

    def __init__(self, runs: Iterable[str]) -> None:
        self._text = text = "\n".join(runs)[:MAX_CHARS]
        self._pairs = frozenset(map("".join, pairwise(text)))
        self._known: dict[str, bool] = {}

    def __contains__(self, stretch: str) -> bool:
        """Tell whether a text occurs in one of the stretches."""
        found = self._known.get(stretch)
        if found is None:
            possible = self._pairs.issuperset(map("".join, pairwise(stretch)))
            found = self._known[stretch] = possible and stretch in self._text
        return found


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
    def said(self) -> Stretches:
        """Stretches of the caller's messages that have Simplified characters."""
        roles = {Role.SYSTEM, Role.USER}
        return self._stretches(m.content for m in self.question.messages if m.role in roles)

    @cached_property
    def given(self) -> Stretches:
        """The same of documents and tools' results."""
        tools = [m.content for m in self.question.messages if m.role is Role.TOOL]
        return self._stretches([*tools, *(d.text for d in self.question.documents)])

    def _stretches(self, texts: Iterable[str]) -> Stretches:
        only = self.phrases.only
        runs = (run for text in texts for run in _HAN_RUN.findall(text))
        return Stretches(run for run in runs if not only.isdisjoint(run))
