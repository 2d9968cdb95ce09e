"""What is known of one replica when an answer looks for a place: load, speed, errors, adapters.

Kept by the pool, read by the choice. No clock: points in time come in, in seconds.
"""

import math
import zlib
from collections import OrderedDict
from typing import Final

from tame_router.backends.vllm.metrics import EngineMetrics

ERROR_HALF_LIFE_S: Final = 10.0
"""Time after which an error counts half."""

LATE_HALF_LIFE_S: Final = 10.0
"""Time after which it counts half that first words came late, where none have come since."""

MOST_LATE: Final = 3.0
"""Doublings that one answer counts at most: a single one that stood still is no slow replica."""

ABSENT_S: Final = 30.0
"""How long a replica that did not know an adapter is believed not to know it."""

MOST_ADAPTERS: Final = 256
"""Adapters remembered of one replica; the one used longest ago is forgotten first."""

_NEWEST: Final = 0.25


class Standing:
    """One replica as the choice sees it.

    Args:
        name: Names it, the same in every router: what is hashed to it stays with it.

    Attributes:
        name: As above.
        salt: A number made from the name.
        adapters: Adapters it should have on its device, the one used longest ago first: vLLM
            drops the first that no answer runs with where it has no room for another.
        using: Answers of this router under way with each adapter, ≥ 1.
        room: Adapters that have room there at once, ≥ 1.
        answers: Answers of this router under way, ≥ 0.
        tokens: Tokens expected of them, prompts included, ≥ 0.
        busy_until: Until when it does not want more work.
        elsewhere: Answers that it told it had beside those, of other routers, ≥ 0.
        waiting: Answers that it told were waiting, ≥ 0.
        cache_usage: Share of its KV cache that it told was in use, in [0, 1].
        told_until: Until when the last three are believed.
    """

    __slots__ = (
        "_absent",
        "_errors",
        "_errors_at",
        "_late",
        "_late_at",
        "adapters",
        "answers",
        "busy_until",
        "cache_usage",
        "elsewhere",
        "name",
        "room",
        "salt",
        "tokens",
        "told_until",
        "using",
        "waiting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.salt = zlib.crc32(name.encode())
        self.answers = 0
        self.tokens = 0
        self.busy_until = 0.0
        self.elsewhere = 0.0
        self.waiting = 0.0
        self.cache_usage = 0.0
        self.told_until = -math.inf
        self.room = MOST_ADAPTERS
        self.using: dict[str, int] = {}
        self._errors = 0.0
        self._errors_at = 0.0
        self._late = 0.0
        self._late_at = 0.0
        self._absent: dict[str, float] = {}
        self.adapters: OrderedDict[str, None] = OrderedDict()

    def begin(self, tokens: int, revision: str = "") -> None:
        """Take note of an answer that begins; its adapter is there, or is loaded for it."""
        self.answers += 1
        self.tokens += tokens
        if revision:
            self.using[revision] = self.using.get(revision, 0) + 1
            self._use(revision)

    def end(self, tokens: int, revision: str = "") -> None:
        """Take note that it ended, however it did; with the same values."""
        self.answers -= 1
        self.tokens -= tokens
        if revision:
            self.using[revision] -= 1
            if not self.using[revision]:
                del self.using[revision]
                self._make_room()

    def errors(self, now: float) -> float:
        """Give the errors so far, recent ones counting more, ≥ 0."""
        if not self._errors:
            return 0.0
        return self._errors * math.exp2((self._errors_at - now) / ERROR_HALF_LIFE_S)

    def erred(self, now: float) -> None:
        """Take note of an error."""
        self._errors = self.errors(now) + 1
        self._errors_at = now

    def lateness(self, now: float) -> float:
        """Give how late its first words have been lately, in doublings of the usual time.

        Returns:
            In [-3, 3]; 0: as usual, or nothing is known.
        """
        if not self._late:
            return 0.0
        return self._late * math.exp2((self._late_at - now) / LATE_HALF_LIFE_S)

    def spoke(self, late: float, now: float, *, at_least: bool = False) -> None:
        """Take note of the first words of an answer; each counts a quarter of what is known.

        Args:
            late: How late they came, in doublings of the usual time.
            now: When.
            at_least: They were given up by then: it would have been later.
        """
        known = self.lateness(now)
        told = max(-MOST_LATE, min(MOST_LATE, late))
        if at_least:
            told = max(told, known)
        self._late = known + _NEWEST * (told - known)
        self._late_at = now

    def busy(self, until: float) -> None:
        """Take note that it has too much work."""
        self.busy_until = max(self.busy_until, until)

    def told(self, metrics: EngineMetrics, until: float) -> None:
        """Take note of what it says of itself.

        Args:
            metrics: That.
            until: Until when it is believed; what is known of adapters stays.
        """
        self.elsewhere = max(0.0, metrics.running + metrics.waiting - self.answers)
        self.waiting = metrics.waiting
        self.cache_usage = metrics.cache_usage
        self.told_until = until
        self.room = min(metrics.max_loras or MOST_ADAPTERS, MOST_ADAPTERS)
        for name in metrics.adapters:
            self.wrote(name)
        self._make_room()

    def wrote(self, revision: str) -> None:
        """Take note that it has an adapter; empty: the base model, which it always has."""
        if not revision:
            return
        self._absent.pop(revision, None)
        self._use(revision)

    def lacks(self, revision: str, now: float) -> None:
        """Take note that it does not know an adapter."""
        self.adapters.pop(revision, None)
        self._absent = {name: until for name, until in self._absent.items() if until > now}
        self._absent[revision] = now + ABSENT_S

    def forget(self) -> None:
        """Forget its adapters and its figures: it may have been started anew."""
        self._late = 0.0
        self.adapters.clear()
        self._absent.clear()
        self.told_until = -math.inf

    def resident(self, revision: str) -> bool:
        """Tell whether it should have an adapter on its device."""
        return not revision or revision in self.adapters

    def absent(self, revision: str, now: float) -> bool:
        """Tell whether it has lately been seen not to know an adapter."""
        return self._absent.get(revision, now) > now

    @property
    def crowded(self) -> bool:
        """Whether all room is used by answers under way: another adapter waits for one to end."""
        return len(self.using) >= self.room

    def _use(self, revision: str) -> None:
        self.adapters[revision] = None
        self.adapters.move_to_end(revision)
        self._make_room()

    def _make_room(self) -> None:
        over = len(self.adapters) - self.room
        if over > 0:
            idle = [name for name in self.adapters if name not in self.using]
            for name in idle[:over]:
                del self.adapters[name]
