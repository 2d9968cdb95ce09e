"""An answer shown to a person while it is written: words, and who says them."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from tame_router.client.event import DecisionMade, Delta, Event, ExpertFinish, Fallback
    from tame_router.client.joined import Note, Tally


class AnswerScreen:
    """Shows events to a person: the answer on standard output, all else on standard error.

    Where several experts answer, what each did is told at the end, and on a terminal the
    headings of parts have colour.

    Args:
        console: Writes to standard error.
    """

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._several = False
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
                self._decide(event)
            case ExpertFinish():
                if self._several:
                    self._finishes.append(event)
                else:
                    self._end_line()
                    self._finish(event)
            case Final():
                if self._several:
                    self._end_line()
                    self._close()
            case _:
                self._between(event)

    def _write(self, delta: "Delta") -> None:
        from tame_router.client.joined import Part

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

        In a pipe nothing is written: standard output is the answer's alone.
        """
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
                if event.fallback is not None:
                    self._stand_in(event.expert, event.fallback)
            case Draft():
                self._drafts.setdefault(event.expert, []).append(event.text)
            case Note():
                self._note(event)
            case Tally():
                self._tally(event)

    def _note(self, note: "Note") -> None:
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
