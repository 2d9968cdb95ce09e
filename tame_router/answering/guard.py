"""Keeps answers Traditional: finds Simplified Chinese in what experts write.

It stands between the join and the caller, and looks at each expert's text, and each of
several answers, on its own. What passes as it is: answers to callers who write Simplified
or ask for it, answers held to JSON, log-probabilities with their text, and calls.
"""

import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tame_router.answering.callers_text import CallersText
from tame_router.answering.conversion import Conversion
from tame_router.answering.event import DecisionMade, Delta, Event, ExpertFinish, Note, Part
from tame_router.answering.event import Final as FinalEvent
from tame_router.answering.han_run import HanRun
from tame_router.answering.join import Emit
from tame_router.answering.phrases import load_phrases
from tame_router.answering.question import Question
from tame_router.backends.backend import TAKEN
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

_ENDS: Final = (ExpertFinish, Note)
"""What ends an expert's words; made once, not with every event."""

_AT_ONCE: Final = 32
"""Pieces that are counted together: one by one each would cost as much as all of them."""


@dataclass(slots=True)
class _Text:
    """A text that is looked at: one expert's, and one of its answers.

    Attributes:
        conversion: Finds what is Simplified in it.
        counted: That is counted, and nothing converted.
        uncounted: Pieces that were not looked at yet.
        last: The last delta that was looked at.
    """

    conversion: Conversion
    counted: bool
    uncounted: list[str] = field(default_factory=list)
    last: Delta | None = None

    def count(self, text: str) -> None:
        """Count a piece, with others."""
        self.uncounted.append(text)
        if len(self.uncounted) >= _AT_ONCE:
            self.catch_up()

    def catch_up(self) -> None:
        """Look at what was not looked at yet."""
        if self.uncounted:
            self.conversion.feed("".join(self.uncounted))
            self.uncounted.clear()


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
        "_emit",
        "_guarding",
        "_passes",
        "_question",
        "_runs",
        "_texts",
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
        self._texts: dict[tuple[str, int], _Text | None] = {}

    def emit(self, event: Event) -> Awaitable[None]:
        """Pass an event on; text that must wait comes with the next, or before its expert ends."""
        if isinstance(event, Delta):
            if event.part is not Part.LABEL:
                return self._emit(event) if self._passes else self._guard(event)
            # Ours, and Traditional; what waits is of the part before it.
            return self._behind_all(event)
        if isinstance(event, DecisionMade):
            self._passes |= event.decision.language == SIMPLIFIED or _wants(self._question)
        elif self._texts and isinstance(event, _ENDS):
            return self._behind_own(event)
        elif self._texts and isinstance(event, FinalEvent):
            return self._behind_all(event)
        return self._emit(event)

    async def _behind_all(self, event: Event) -> None:
        """Pass an event on behind all that waits."""
        await self.flush()
        await self._emit(event)

    async def _behind_own(self, event: ExpertFinish | Note) -> None:
        """Pass an expert's end on behind what waits of its own words."""
        seen, simplified = await self._finish(event.expert)
        if seen and isinstance(event, ExpertFinish):
            event = msgspec.structs.replace(event, simplified=simplified, looked_at=seen)
        await self._emit(event)

    async def flush(self) -> None:
        """Give out what waits, of a part or an answer that goes no further."""
        for expert in dict.fromkeys(expert for expert, _ in self._texts):
            await self._finish(expert)

    def _guard(self, delta: Delta) -> Awaitable[None]:
        key = (delta.expert, delta.choice)
        looked_at = self._texts[key] if key in self._texts else self._text(key)
        if looked_at is None:
            return self._emit(delta)
        if looked_at.counted:
            looked_at.count(delta.text)
            return self._emit(delta)
        if delta.logprobs or delta.tool_calls:
            return self._give_whole(looked_at, delta)
        looked_at.last = delta
        return self._give(delta, looked_at.conversion.feed(delta.text))

    async def _give_whole(self, before: _Text, delta: Delta) -> None:
        """Give a delta as it is, behind what waits: tokens and their text belong together."""
        await self._give(before.last, before.conversion.end())
        await self._emit(delta)

    def _give(self, delta: Delta | None, text: str) -> Awaitable[None]:
        if delta is None or not text:
            return TAKEN
        if text != delta.text:
            delta = msgspec.structs.replace(delta, text=text)
        return self._emit(delta)

    async def _finish(self, expert: str) -> tuple[int, int]:
        """End an expert's texts; give their characters, and the Simplified ones among them."""
        seen = simplified = 0
        for key in [key for key in self._texts if key[0] == expert]:
            ended = self._texts.pop(key)
            if ended is None:
                continue
            ended.catch_up()
            rest = ended.conversion.end()
            if ended.last is not None:
                last = msgspec.structs.replace(ended.last, logprobs=b"", tool_calls=())
                await self._give(last, rest)
            seen += ended.conversion.seen
            simplified += ended.conversion.changed
        if seen:
            action = self._action(expert).value
            current().guarded(expert, action, seen=seen, simplified=simplified)
        return seen, simplified

    def _text(self, key: tuple[str, int]) -> _Text | None:
        """Begin the text that a delta belongs to; None: it is not looked at."""
        action = self._action(key[0])
        text = None
        if action is not Guarding.OFF:
            text = _Text(Conversion(self._shared_runs()), counted=action is Guarding.COUNT)
        self._texts[key] = text
        return text

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
