"""How many answers a backend writes at once: more while it keeps up, fewer when they wait there.

Pure: times come in as arguments. A server that has more answers than places lets some wait, and
their first tokens come late. Of so many answers that are there, the share of their time that they
wait is the share of them that is waiting (Little's law), so one look tells how many are too many:

    places = limit × writing time / (waiting time + writing time)

Source: TCP Vegas counts packets in queues the same way (Brakmo, Peterson, 1995). The writing time
stands in the sum whole, and is taken for what it is: long answers lower nothing.
"""

from dataclasses import dataclass
from typing import Final

from tame_router.backends.queueing.first_token import PERIOD_S, FirstTokens

SAMPLES: Final = 16
"""First tokens that are looked at together."""

TOLERATED: Final = 0.1
"""Share of the answers in the server that may wait there, so that no place stays empty."""

_QUARTER: Final = SAMPLES // 4  # three in four wait this long: a cold adapter is no queue
_GROWTH: Final = 0.05
_SPARE: Final = 0.95  # a little below what was found, so that the server's queue empties
_LEAST_FACTOR: Final = 0.5
_MEMORY: Final = 1 / 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """Where a limit begins, and how far it goes.

    Attributes:
        start: Answers at once before anything is known, in [least, most].
        least: Fewest, ≥ 1.
        most: Most; the same as `least`: it does not move.
        wait_s: Waiting in the server that is no reason to lower it, ≥ 0.
    """

    start: int = 256
    least: int = 8
    most: int = 1024
    wait_s: float = 0.5


class AdaptiveLimit:
    """The limit of one backend.

    Args:
        rules: Where it begins, and how far it goes.
    """

    def __init__(self, rules: LimitRules) -> None:
        self._rules = rules
        self._exact = float(rules.start)
        self._first_tokens = FirstTokens()
        self._writing_s: float | None = None
        self._waits: list[float] = []
        self._crowded = False
        self._since = float("-inf")
        self._looked_at: float | None = None
        self._back_to: float | None = None
        self.value = rules.start

    def first_token(
        self, *, began: float, now: float, prompt_chars: int, crowded: bool
    ) -> float | None:
        """Take note of an answer's first token.

        Args:
            began: When the backend was asked for it.
            now: When it came.
            prompt_chars: Length of its prompt.
            crowded: As many answers as may were under way when it began.

        Returns:
            How long it waited in the server, in seconds; None where that is not known.
        """
        waited_s = self._first_tokens.waited_s(now, prompt_chars, now - began)
        if waited_s is None or began < self._since:
            return waited_s  # it met the server as it was under another limit
        self._crowded = self._crowded or crowded
        self._waits.append(waited_s)
        if len(self._waits) >= SAMPLES:
            if self._writing_s is None:  # no answer has ended yet
                self._begin(now)
            else:
                self._look(now, self._writing_s)
        return waited_s

    def ended(self, *, held_s: float, waited_s: float | None) -> None:
        """Take note that an answer ended that had begun to be written.

        Args:
            held_s: How long it was with the backend.
            waited_s: How much of that it waited there, as `first_token` said.
        """
        writing_s = max(held_s - (waited_s or 0.0), 1e-3)
        known_s = self._writing_s
        self._writing_s = (
            writing_s if known_s is None else known_s + _MEMORY * (writing_s - known_s)
        )

    def refused(self, *, began: float, now: float, under_way: int) -> None:
        """Take note that the backend said it has too much work, or none of its words came in time.

        Args:
            began: When it was asked.
            now: When it said so.
            under_way: Answers it had, this one among them.
        """
        if began >= self._since:
            self._back_to = None
            self._set(min(self._exact, under_way) * (1 - TOLERATED), now)

    def _look(self, now: float, writing_s: float) -> None:
        """Decide what the last first tokens say."""
        wait_s = sorted(self._waits)[_QUARTER]
        waiting = wait_s / (wait_s + writing_s)
        crowded = self._crowded
        if wait_s > self._rules.wait_s and waiting > TOLERATED:
            self._back_to = None
            self._set(self._exact * max((1 - waiting) * _SPARE, _LEAST_FACTOR), now)
        elif self._back_to is not None:
            back_to, self._back_to = self._back_to, None
            self._set(back_to, now)
        elif crowded and self._due(now):
            self._look_closer(now, writing_s)
        elif crowded and (wait_s <= self._rules.wait_s / 2 or waiting <= TOLERATED / 2):
            self._set(self._exact + max(1.0, self._exact * _GROWTH), now)
        else:
            self._begin(now)

    def _due(self, now: float) -> bool:
        if self._looked_at is None:
            self._looked_at = now
        return now - self._looked_at >= PERIOD_S

    def _look_closer(self, now: float, writing_s: float) -> None:
        """Let the server's queue empty for a moment: the shortest times are to be without it."""
        self._looked_at = now
        tolerated_s = max(self._rules.wait_s, writing_s * TOLERATED)
        self._back_to = self._exact
        self._set(self._exact * max(writing_s / (writing_s + tolerated_s), _LEAST_FACTOR), now)

    def _set(self, exact: float, now: float) -> None:
        self._exact = min(max(exact, float(self._rules.least)), float(self._rules.most))
        self.value = round(self._exact)
        self._begin(now)

    def _begin(self, now: float) -> None:
        """Look at what begins from now on."""
        self._since = now
        self._waits.clear()
        self._crowded = False
