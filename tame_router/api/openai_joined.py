"""What happened among experts beside their words, as HTTP callers read it in the `tame` field."""

from typing import Any

from tame_router.admission.model import AUTO
from tame_router.answering.event import (
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    ExpertStart,
    Note,
    Part,
    Tally,
)
from tame_router.api.openai_decision import fallback_document
from tame_router.api.openai_model import model_id
from tame_router.chat import Usage


class JoinedFacts:
    """Gathers what an answer of several experts, or of another in one's place, has to tell.

    Attributes:
        several: Several experts are asked.
    """

    __slots__ = ("_notes", "_parts", "_stand_in", "_starts", "_steps", "_tally", "several")

    def __init__(self) -> None:
        self.several = False
        self._starts: list[ExpertStart] = []
        self._stand_in: ExpertStart | None = None
        self._steps: list[ExpertFinish] = []
        self._notes: list[Note] = []
        self._tally: Tally | None = None
        self._parts: list[tuple[Delta, list[str]]] = []

    def see(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case DecisionMade():
                self.several = bool(event.steps)
            case ExpertStart():
                self._starts.append(event)
                self._stand_in = event if event.fallback else None
            case ExpertFinish():
                self._steps.append(event)
            case Note():
                self._notes.append(event)
            case Tally():
                self._tally = event

    def add_part(self, delta: Delta) -> None:
        """Put an expert's words to those before of the same part."""
        if delta.part is Part.LABEL:
            return
        last = self._parts[-1] if self._parts else None
        if last is None or (last[0].expert, last[0].part) != (delta.expert, delta.part):
            last = (delta, [])
            self._parts.append(last)
        last[1].append(delta.text)

    def model(self, lead: str, revision: str) -> str:
        """Name who answered, so that the same can be asked again."""
        if self._stand_in is not None:
            return model_id(self._stand_in.expert, self._stand_in.revision)
        return AUTO if self.several else model_id(lead, revision)

    @property
    def start(self) -> ExpertStart | None:
        """Who answers: the one that was asked first, or who is in its place; None: nobody yet."""
        return self._stand_in or (self._starts[0] if self._starts else None)

    def revision(self, revision: str) -> str:
        """Give the lead's revision: where several answer, the first word may be another's."""
        if self._stand_in is not None:
            return self._stand_in.revision
        return self._starts[0].revision if self.several and self._starts else revision

    def fallback(self) -> dict[str, Any]:
        """Say who answers in whose place; nothing where nobody does."""
        fallback = self._stand_in.fallback if self._stand_in else None
        return {"fallback": fallback_document(fallback)} if fallback else {}

    def document(self) -> dict[str, Any]:
        """Describe it; empty where one expert was asked, and answered."""
        found: dict[str, Any] = self.fallback()
        if not self.several:
            return found and {**found, "notes": [_note(note) for note in self._notes]}
        found["steps"] = [_step(step) for step in self._steps]
        found["notes"] = [_note(note) for note in self._notes]
        if self._tally:
            found["tally"] = _tally(self._tally)
        if self._parts:
            found["parts"] = [
                {
                    "expert": first.expert,
                    "revision": first.revision,
                    "part": first.part.value,
                    "content": "".join(texts),
                }
                for first, texts in self._parts
            ]
        return found


def _step(step: ExpertFinish) -> dict[str, Any]:
    usage: Usage = step.usage
    return {
        "expert": step.expert,
        "revision": step.revision,
        "part": step.part.value,
        "finish_reason": step.finish_reason.value,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "notice": step.notice,
    }


def _note(note: Note) -> dict[str, Any]:
    return {
        "expert": note.expert,
        "part": note.part.value,
        "reason": note.reason,
        "message": note.message,
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "expert": tally.expert,
        "entries": [
            {"choice": entry.choice, "experts": entry.experts, "weight": entry.weight}
            for entry in tally.entries
        ],
    }
