"""How many answers a backend writes at once: more while it keeps up, fewer when they wait there.

Pure: times come in as arguments. A server that has more answers than places lets some wait, and
their first tokens come late. Of so many answers that are there, the share of their time that they
wait is the share of them that is waiting (Little's law), so one look tells how many are too many:

    places = limit × writing time / (waiting time + writing time)

Until it has been too many once, the limit grows fast where it is reached, as TCP's window does in
its slow start. Then it goes to the places that were found, and now and then beyond them: in steps
that double, until one waits.

Source: TCP Vegas counts packets in queues the same way (Brakmo, Peterson, 1995). The writing time
stands in the sum whole, and is taken for what it is: long answers lower nothing.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Final

from tame_router.backends.queueing.first_token import PERIOD_S, FirstTokens

SAMPLES: Final = 16
"""First tokens that are looked at together."""

TOLERATED: Final = 0.05
"""Share of the answers in the server that may wait there, so that no place stays empty."""

_QUARTER: Final = SAMPLES // 4  # three in four wait this long: a cold adapter is no queue
_FIRST_GROWTH: Final = 0.5  # until it was too many once
_GROWTH: Final = 0.05
_BEYOND: Final = 0.005  # past the places that were found; each step is twice the last
_BACK: Final = 0.1  # what a server that refuses is given less than it had
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

    start: int = 32
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
        self._found: float | None = None
        self._noise_s = 0.0
        self._noise_late = 0
        self._step = 0.0
        self._tried_at = float("-inf")
        self._usual_s: float | None = None
        self._silent: dict[int, float] = {}
        self.value = rules.start

    @property
    def first_s(self) -> float | None:
        """Mean time to the first token that is not waiting, in seconds; None: not known yet."""
        return self._usual_s

    def asked(self, answer: int, *, began: float, crowded: bool) -> None:
        """Take note that the backend has been asked for an answer.

        Args:
            answer: Its number; no other answer under way has the same.
            began: When; never before that of an earlier call.
            crowded: As many answers as may are under way with it.
        """
        self._silent[answer] = began
        self._crowded = self._crowded or crowded

    def heard(self, answer: int) -> None:
        """Take note that an answer has its first token, or never will."""
        self._silent.pop(answer, None)

    def first_token(self, *, began: float, now: float, prompt_chars: int) -> float | None:
        """Take note of an answer's first token.

        Args:
            began: When the backend was asked for it.
            now: When it came.
            prompt_chars: Length of its prompt.

        Returns:
            How long it waited in the server, in seconds; None where that is not known.
        """
        waited_s = self._first_tokens.waited_s(now, prompt_chars, now - began)
        if waited_s is not None:
            self._usual_s = _moved(self._usual_s, now - began - waited_s)
        if waited_s is None or began < self._since:
            return waited_s  # it met the server as it was under another limit
        self._waits.append(waited_s)
        if len(self._waits) >= SAMPLES:
            self._look(now)
        return waited_s

    def ended(self, *, held_s: float, waited_s: float | None) -> None:
        """Take note that an answer ended that had begun to be written.

        Args:
            held_s: How long it was with the backend.
            waited_s: How much of that it waited there, as `first_token` said.
        """
        self._writing_s = _moved(self._writing_s, max(held_s - (waited_s or 0.0), 1e-3))

    def refused(self, *, began: float, now: float, under_way: int) -> None:
        """Take note that the backend said it has too much work, or none of its words came in time.

        Args:
            began: When it was asked.
            now: When it said so.
            under_way: Answers it had, this one among them.
        """
        if began >= self._since:
            places = min(self._exact, under_way) * (1 - _BACK)
            self._lower(places, places, now)

    def _look(self, now: float) -> None:
        """Decide what the last first tokens say."""
        wait_s, writing_s = sorted(self._waits)[_QUARTER], self._writing_s
        if writing_s is None:  # no answer has ended yet, so the share is not known
            if wait_s <= self._rules.wait_s / 2:
                self._grow(now)
            self._begin(now)
            return
        waiting = wait_s / (wait_s + writing_s)
        if wait_s > self._rules.wait_s and waiting > TOLERATED:
            # Where ends come in waves a few wait long: no more are too many than are seen to wait.
            most = SAMPLES + self._late(now)
            places = self._exact - min(self._exact * waiting, most)
            self._lower(places, max(places * _SPARE, self._exact * _LEAST_FACTOR), now)
        elif self._back_to is not None:
            self._hear_noise()
            back_to, self._back_to = self._back_to, None
            self._set(back_to, now)
        elif self._crowded and self._due(now):
            self._look_closer(now, writing_s)
        elif wait_s <= self._rules.wait_s / 2 or waiting <= TOLERATED / 2:
            self._grow(now)
        elif self._found is not None and self._exact > self._found:
            self._tried_at, self._step = now, 0.0
            self._set(self._found, now)
        self._begin(now)

    def _lower(self, places: float, exact: float, now: float) -> None:
        self._back_to = None
        self._step = 0.0
        self._found = places
        self._set(exact, now)

    def _grow(self, now: float) -> None:
        """Grow, where all places were taken, and no more wait than may."""
        if not self._crowded or self._many_silent(now):
            return
        exact, found = self._exact, self._found
        if found is None:
            self._set(exact * (1 + _FIRST_GROWTH), now)
        elif exact < found - 1:
            self._hear_noise()
            self._set(min(exact + max(1.0, exact * _GROWTH), found), now)
        elif self._all_busy():
            if self._step or self._waiting() >= 1:  # a cold adapter alone puts nothing off
                self._tried_at = now
            self._found = max(exact - self._step, found)
            self._step = 0.0
            self._set(self._found, now)
        elif now - self._tried_at >= PERIOD_S:
            self._step = max(2 * self._step, exact * _BEYOND)
            self._set(exact + self._step, now)

    def _all_busy(self) -> bool:
        """Tell whether one waits in the server, so that none of its places is empty."""
        return self._waiting() >= 1 or self._long_waits() > self._noise_late

    def _waiting(self) -> float:
        """Tell how many wait in the server.

        What first tokens vary by anyway is no waiting: that was seen while there were fewer.
        """
        wait_s = max(sorted(self._waits)[_QUARTER] - self._noise_s, 0.0)
        return self._exact * wait_s / (wait_s + (self._writing_s or 0.0) + 1e-9)

    def _hear_noise(self) -> None:
        """Take what is seen for what first tokens vary by anyway."""
        self._noise_s = sorted(self._waits)[_QUARTER]
        self._noise_late = self._long_waits()

    def _long_waits(self) -> int:
        """Tell how many of the first tokens that are looked at came too late."""
        return sum(wait_s > self._rules.wait_s for wait_s in self._waits)

    def _late(self, now: float) -> int:
        """Tell how many answers are without a first token for too long."""
        late_s = (self._usual_s or 0.0) + self._rules.wait_s
        return sum(now - began > late_s for began in self._silent.values())

    def _many_silent(self, now: float) -> bool:
        """Tell whether more answers than may are without a first token for too long.

        Those that wait say so last: of the first tokens after a change those come first that
        found a place.
        """
        late_s = (self._usual_s or 0.0) + self._rules.wait_s
        most = int(self._exact * TOLERATED)
        began = next(islice(self._silent.values(), most, None), now)
        return now - began > late_s

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


def _moved(mean: float | None, value: float) -> float:
    return value if mean is None else mean + _MEMORY * (value - mean)
