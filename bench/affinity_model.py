"""A simulated replica, and the traffic it gets: a queueing model of discrete events. Times in s.

A replica writes up to `SEATS` answers at once; the others wait in the order of their arrival. As in
vLLM no more than `max_loras` adapters run at once: one that finds all of that room in use waits,
and those behind it that find theirs are let past. An adapter that is not on the device is loaded
first, in `LOAD_S`, and takes the room of the one used longest ago of those that rest. An answer
reads its prompt (`READ_S`, or a tenth of that where the replica has had the conversation before),
then writes a token each `TOKEN_S`, up to twice as slowly the fuller the replica was when it began.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from tame_router.backends.vllm.metrics import EngineMetrics

SEATS: Final = 32
LOAD_S: Final = 0.5
READ_S: Final = 0.12
TOKEN_S: Final = 0.02
MEAN_TOKENS: Final = 64
MOST_TOKENS: Final = 512
PROMPT_TOKENS: Final = 600
CONVERSATIONS: Final = 4_096
_AGAIN: Final = 0.5
_REMEMBERED: Final = 0.1


@dataclass(slots=True, kw_only=True)
class Answer:
    """An answer that is asked for.

    Attributes:
        at: When.
        adapter: Its number; 0 is asked for most.
        head: Of the conversation, 32 bits.
        tokens: It writes.
        begun: When its first token came.
        warm: The router took its adapter to be there.
    """

    at: float
    adapter: int
    head: int
    tokens: int
    begun: float = 0.0
    warm: bool = False


def traffic(answers: int, rate: float, adapters: int, zipf: float, seed: int) -> Iterator[Answer]:
    """Draw answers: Poisson in time, adapters by Zipf's law, every second one in a conversation."""
    draw, now = Random(seed), 0.0
    weights = [1 / rank**zipf for rank in range(1, adapters + 1)]
    under_way: deque[tuple[int, int]] = deque(maxlen=CONVERSATIONS)
    drawn = draw.choices(range(adapters), weights, k=answers)
    for adapter in drawn:
        now += draw.expovariate(rate)
        if under_way and draw.random() < _AGAIN:
            adapter, head = under_way[int(draw.random() * len(under_way))]
        else:
            head = draw.getrandbits(32)
            under_way.append((adapter, head))
        tokens = min(1 + int(draw.expovariate(1 / MEAN_TOKENS)), MOST_TOKENS)
        yield Answer(at=now, adapter=adapter, head=head, tokens=tokens)


def capacity(replicas: int) -> float:
    """Give the answers a second that so many replicas could write at most, loading nothing."""
    return replicas * SEATS / (READ_S + MEAN_TOKENS * TOKEN_S * 2)


class SimulatedReplica:
    """One replica.

    Args:
        max_loras: Adapters that have room at once.

    Attributes:
        loads: Adapters loaded so far.
        remembered: Answers whose conversation it had had before.
    """

    def __init__(self, max_loras: int) -> None:
        self.loads = 0
        self.remembered = 0
        self._max_loras = max_loras
        self._resident: OrderedDict[int, int] = OrderedDict()  # answers running with each
        self._running = 0
        self._waiting: deque[Answer] = deque()
        self._heads: OrderedDict[int, None] = OrderedDict()

    def take(self, answer: Answer) -> None:
        """Have an answer wait its turn."""
        self._waiting.append(answer)

    def end(self, answer: Answer) -> None:
        """End an answer."""
        self._running -= 1
        self._resident[answer.adapter] -= 1

    def begin(self, now: float) -> Iterator[tuple[float, Answer]]:
        """Begin those of the waiting that can; give when each will end."""
        passed: deque[Answer] = deque()
        while self._waiting and self._running < SEATS:
            answer = self._waiting.popleft()
            lag = self._seat(answer.adapter)
            if lag is None:
                passed.append(answer)
                continue
            self._running += 1
            answer.begun = now + lag + READ_S * self._read(answer.head)
            slow = 1 + self._running / SEATS
            yield answer.begun + answer.tokens * TOKEN_S * slow, answer
        self._waiting.extendleft(reversed(passed))

    def metrics(self) -> EngineMetrics:
        """Tell what its `/metrics` would."""
        running = tuple(name(number) for number, users in self._resident.items() if users)
        return EngineMetrics(
            running=self._running,
            waiting=len(self._waiting),
            cache_usage=self._running / SEATS,
            adapters=running,
            max_loras=self._max_loras,
        )

    def _seat(self, adapter: int) -> float | None:
        """Make room for an adapter, and give the time that takes; None: there is no room."""
        if adapter in self._resident:
            self._resident[adapter] += 1
            self._resident.move_to_end(adapter)
            return 0.0
        if len(self._resident) >= self._max_loras:
            idle = next((one for one, users in self._resident.items() if not users), None)
            if idle is None:
                return None
            del self._resident[idle]
        self._resident[adapter] = 1
        self.loads += 1
        return LOAD_S

    def _read(self, head: int) -> float:
        """Give the share of the prompt that must be read."""
        known = head in self._heads
        self._heads[head] = None
        self._heads.move_to_end(head)
        if len(self._heads) > CONVERSATIONS:
            self._heads.popitem(last=False)
        self.remembered += known
        return _REMEMBERED if known else 1.0


def name(adapter: int) -> str:
    """Give the name of an adapter."""
    return f"expert--{adapter:016x}"
