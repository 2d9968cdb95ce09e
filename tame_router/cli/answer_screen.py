"""An answer shown to a person while it is written: words, and who says them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tame_router.cli.voices import Voices

if TYPE_CHECKING:
    from rich.console import Console

    from tame_router.client.event import (
        DecisionMade,
        Delta,
        Event,
        ExpertFinish,
        ExpertStart,
        Fallback,
    )
    from tame_router.client.joined import Note, Tally


class AnswerScreen:
    """Shows events to a person: the answer on standard output, all else on standard error.

    Where several experts answer, what each did is told at the end, and on a terminal the
    headings of parts have colour. Where they speak at the same time, each sentence has its
    expert's title in front.

    Args:
        console: Writes to standard error.
        interleaved: A panel's parts were asked for all at once.
    """

    def __init__(self, console: "Console", *, interleaved: bool = False) -> None:
        self._console = console
        self._interleaved = interleaved
        self._voices: Voices | None = None
        self._several = False
        self._language = ""
        self._finishes: list[ExpertFinish] = []
        self._drafts: dict[str, list[str]] = {}
        self._line_open = False

    def __call__(self, event: "Event") -> None:
        """Show one event."""
        from tame_router.client.event import DecisionMade, Delta, ExpertFinish, Final

        match event:
            case Delta():
                self._write(event)
            case DecisionMade():
                self._several = bool(event.steps)
                self._language = event.decision.language
                if self._interleaved and event.decision.join == "panel":
                    self._voices = Voices()
                self._decide(event)
            case ExpertFinish():
                self._end(event)
            case Final():
                if self._several:
                    self._close()
            case _:
                self._between(event)

    def _end(self, finish: "ExpertFinish") -> None:
        if self._voices:
            self._say(self._voices.end(finish.expert))
        if self._several:
            self._finishes.append(finish)
        else:
            self._end_line()
            self._finish(finish)

    def _start(self, start: "ExpertStart") -> None:
        """Let one of several that speak at the same time be told from the others."""
        from tame_router.answering.label import heading

        if self._voices:
            label = heading(start.title, self._language, first=True).strip()
            shown = f"\x1b[1;36m{label}\x1b[0m" if sys.stdout.isatty() else label
            self._voices.begin(start.expert, f"{shown} ")

    def _say(self, lines: Sequence[str]) -> None:
        for line in lines:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def _write(self, delta: "Delta") -> None:
        from tame_router.client.joined import Part

        if self._voices:
            self._say(self._voices.add(delta.expert, delta.text))
            return
        text = delta.text
        if delta.part is Part.LABEL and sys.stdout.isatty():
            text = f"\x1b[1;36m{text}\x1b[0m"
        sys.stdout.write(text)
        sys.stdout.flush()
        if delta.text:
            self._line_open = not delta.text.endswith("\n")

    def _end_line(self) -> None:
        sys.stdout.write("\n")
        sys.stdout.flush()
        self._line_open = False

    def break_off(self) -> None:
        """Let what is told next begin a line of its own, where both streams are one terminal.

        In a pipe nothing is put between: standard output is the answer's alone.
        """
        if self._voices:
            self._say(self._voices.end_all())
        if self._line_open and sys.stdout.isatty() and self._console.is_terminal:
            self._console.print()
            self._line_open = False

    def _decide(self, made: "DecisionMade") -> None:
        decision = made.decision
        others = [
            f"{name} {probability:.2f}"
            for name, probability in decision.probabilities.items()
            if name not in decision.experts or (not self._several and name != decision.expert)
        ]
        asked = [n for n in decision.experts if self._several or n == decision.expert]
        chosen = ", ".join(f"[bold cyan]{n}[/] {decision.experts[n]:.2f}" for n in asked)
        beside = f"({', '.join(others)}) · " if others else "· "
        joined = f" · {decision.join}" if self._several else ""
        self._console.print(
            f"{chosen} [dim]{beside}{decision.reason} · {decision.stage}{joined}[/]"
        )

    def _between(self, event: "Event") -> None:
        """Take in what is told between experts' words."""
        from tame_router.client.event import ExpertStart
        from tame_router.client.joined import Draft, Note, Tally

        match event:
            case ExpertStart():
                self._start(event)
                if event.fallback is not None:
                    self._stand_in(event.expert, event.fallback)
            case Draft():
                self._drafts.setdefault(event.expert, []).append(event.text)
            case Note():
                self._note(event)
            case Tally():
                self._tally(event)

    def _note(self, note: "Note") -> None:
        if self._voices:
            self._say(self._voices.end(note.expert))
        else:
            self.break_off()
        self._console.print(
            f"{note.expert}: {note.reason}: {note.message}", style="yellow", markup=False
        )

    def _stand_in(self, expert: str, fallback: "Fallback") -> None:
        """Say, before its words, that another answers for an expert."""
        self.break_off()
        where = f"{fallback.backend}, an external provider" if fallback.external else ""
        who = expert if expert != fallback.instead_of else "its base model, no adapter"
        told = f"in place of {fallback.instead_of} answers {who}"
        self._console.print(
            f"{told} (on {where or fallback.backend})", style="bold yellow", markup=False
        )

    def _tally(self, tally: "Tally") -> None:
        for entry in tally.entries:
            who = ", ".join(entry.experts)
            mark = "→" if tally.expert in entry.experts else " "
            self._console.print(
                f"{mark} {entry.weight:.2f} {entry.choice} ({who})", style="dim", markup=False
            )

    def _close(self) -> None:
        """Tell what each of several experts did."""
        if not self._voices:
            self._end_line()
        for expert, texts in self._drafts.items():
            self._console.print(f"draft of {expert}: {''.join(texts)}", style="dim", markup=False)
        for finish in self._finishes:
            self._finish(finish, f"{finish.expert} · {finish.part} · ")

    def _finish(self, finish: "ExpertFinish", whose: str = "") -> None:
        if finish.notice:
            self._console.print(finish.notice, style="yellow", markup=False)
        first = finish.time_to_first_token
        self._console.print(
            f"[dim]{whose}{finish.revision or 'base model, no adapter'}"
            f" · {finish.usage.completion_tokens} tokens"
            f" · first after {first.total_seconds() * 1e3:.0f} ms"
            f" · {finish.finish_reason}[/]"
            if first
            else f"[dim]{whose}the expert wrote nothing[/]"
        )
