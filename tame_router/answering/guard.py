"""Keeps answers Traditional: finds Simplified Chinese in what experts write.

It stands between the join and the caller, and looks at each expert's text, and each of
several answers, on its own. What passes as it is: answers to callers who write Simplified
or ask for it, answers held to JSON, log-probabilities with their text, and calls.
"""

import re
from dataclasses import replace
from typing import Final

from tame_router.answering.callers_text import CallersText
from tame_router.answering.conversion import Conversion
from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish, Note, Part
from tame_router.answering.event import Final as FinalEvent
from tame_router.answering.han_run import HanRun
from tame_router.answering.join import Emit
from tame_router.answering.phrases import load_phrases
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog
from tame_router.chat import Format, Guarding, Role
from tame_router.routing.text import SIMPLIFIED
from tame_router.telemetry.recording import current

_WANTS_SIMPLIFIED: Final = re.compile(
    r"(?:用|以|成|為|为|\b(?:in|into|to|using)\s)\s*(?:中国|中國|大陸|大陆)?的?\s*"
    r"(?:簡體|简体|簡化字|简化字|simplified\b|zh-(?:cn|hans)\b)",
    re.IGNORECASE,
)
_DENIED: Final = re.compile(
    r"(?:[不勿別别免禁非]\w{0,3}|\b(?:not|never|avoid|no)\b[^.,;]*|n't\b[^.,;]*)$", re.IGNORECASE
)
_DENIED_CHARS: Final = 40
"""Characters before a wish that may turn it round."""


class Guard:
    """Passes the events of one answer on, and looks at their text.

    Args:
        guarding: What is done, where an expert says nothing else.
        catalog: The experts, each of which may say something else.
        question: What is asked.
        emit: Where events go.
    """

    __slots__ = (
        "_catalog",
        "_conversions",
        "_emit",
        "_guarding",
        "_last",
        "_passes",
        "_question",
        "_runs",
    )

    def __init__(
        self, guarding: Guarding, catalog: Catalog, question: Question, emit: Emit
    ) -> None:
        self._guarding = guarding
        self._catalog = catalog
        self._question = question
        self._emit = emit
        self._passes = _is_json(question)
        self._runs: HanRun | None = None
        self._conversions: dict[tuple[str, int], Conversion | None] = {}
        self._last: dict[tuple[str, int], Delta] = {}

    async def emit(self, event: Event) -> None:
        """Pass an event on; text that must wait comes with the next, or before its expert ends."""
        if isinstance(event, Delta):
            if event.part is Part.LABEL:
                # Ours, and Traditional; what waits is of the part before it.
                await self.flush()
            elif not self._passes:
                await self._guard(event)
                return
        elif isinstance(event, DecisionMade):
            self._passes |= event.decision.language == SIMPLIFIED or _wants(self._question)
        elif isinstance(event, ExpertFinish | Note):
            seen, simplified = await self._finish(event.expert)
            if seen and isinstance(event, ExpertFinish):
                event = replace(event, simplified=simplified, looked_at=seen)
        elif isinstance(event, FinalEvent):
            await self.flush()
        await self._emit(event)

    async def flush(self) -> None:
        """Give out what waits, of a part or an answer that goes no further."""
        for expert in dict.fromkeys(expert for expert, _ in self._conversions):
            await self._finish(expert)

    async def _guard(self, delta: Delta) -> None:
        key = (delta.expert, delta.choice)
        conversion = self._conversion(key)
        if conversion is None:
            await self._emit(delta)
        elif self._action(delta.expert) is Guarding.COUNT:
            conversion.feed(delta.text)
            await self._emit(delta)
        elif delta.logprobs or delta.tool_calls:
            # Tokens and their text belong together.
            await self._give(self._last.get(key), conversion.end())
            await self._emit(delta)
        else:
            self._last[key] = delta
            await self._give(delta, conversion.feed(delta.text))

    async def _give(self, delta: Delta | None, text: str) -> None:
        if delta is not None and text:
            await self._emit(delta if text == delta.text else replace(delta, text=text))

    async def _finish(self, expert: str) -> tuple[int, int]:
        """End an expert's texts; give their characters, and the Simplified ones among them."""
        seen = simplified = 0
        action = self._action(expert)
        for key in [key for key in self._conversions if key[0] == expert]:
            conversion, last = self._conversions.pop(key), self._last.pop(key, None)
            if conversion is None:
                continue
            rest = conversion.end()
            if action is Guarding.CONVERT and last is not None:
                await self._give(replace(last, logprobs=b"", tool_calls=()), rest)
            seen += conversion.seen
            simplified += conversion.changed
        if seen:
            current().guarded(expert, action.value, seen=seen, simplified=simplified)
        return seen, simplified

    def _conversion(self, key: tuple[str, int]) -> Conversion | None:
        if key not in self._conversions:
            off = self._action(key[0]) is Guarding.OFF
            self._conversions[key] = None if off else Conversion(self._shared_runs())
        return self._conversions[key]

    def _shared_runs(self) -> HanRun:
        if self._runs is None:
            phrases = load_phrases()
            self._runs = HanRun(phrases, CallersText(self._question, phrases))
        return self._runs

    def _action(self, name: str) -> Guarding:
        expert = self._catalog.experts.get(name)
        return expert.guarding if expert and expert.guarding else self._guarding


def prepare(guarding: Guarding, catalog: Catalog) -> None:
    """Read the table of phrases now, where an answer may need it: later, answers would wait."""
    own = {expert.guarding for expert in catalog.experts.values()} - {None}
    if {guarding, *own} != {Guarding.OFF}:
        load_phrases()


def _is_json(question: Question) -> bool:
    form = question.shape.response_format
    return form is not None and form.format is not Format.TEXT


def _wants(question: Question) -> bool:
    """Tell whether the last turn, or the caller's instructions, ask for Simplified Chinese."""
    turns = [m.content for m in question.messages if m.role is Role.USER][-1:]
    rules = [m.content for m in question.messages if m.role is Role.SYSTEM]
    return any(
        not _DENIED.search(text[max(0, wish.start() - _DENIED_CHARS) : wish.start()])
        for text in turns + rules
        for wish in _WANTS_SIMPLIFIED.finditer(text)
    )
