"""Which replica writes an answer."""

import zlib
from collections import Counter
from random import Random

import pytest

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.choice import (
    Ask,
    Moment,
    at_home,
    choose,
    cost,
    lag,
    trouble,
)
from tame_router.backends.replicas.standing import ABSENT_S, LATE_HALF_LIFE_S, Standing
from tame_router.backends.vllm.metrics import EngineMetrics
from tame_router.chat import Message, Role, Sampling


def standings(count: int) -> list[Standing]:
    """Give replicas that do nothing."""
    return [Standing(f"http://replica-{number}/v1") for number in range(count)]


def ask(question: str = "?", revision: str = "", *more: Message) -> Ask:
    """Give an answer that looks for a place."""
    messages = (
        Message(role=Role.SYSTEM, content="You answer."),
        Message(role=Role.USER, content=question),
        *more,
    )
    return Ask.of(
        Generation(revision=revision, messages=messages, sampling=Sampling(), request_id="r")
    )


def test_turns_of_a_conversation_are_at_home_together() -> None:
    """A later turn goes where the prefix is cached; other conversations spread evenly."""
    pool, draw = standings(8), Random(1)
    later = Message(role=Role.USER, content="那罰則呢？")
    for number in range(20):
        first, then = ask(f"{number}"), ask(f"{number}", "", later)
        assert choose(pool, first, now=0, draw=draw) is choose(pool, then, now=0, draw=draw)
    homes = Counter(at_home(pool, ask(f"{number}").head).name for number in range(800))
    assert len(homes) == 8
    assert min(homes.values()) > 50


def test_a_replica_that_leaves_moves_only_its_own() -> None:
    """The others' conversations stay where they are."""
    pool = standings(8)
    keys = [ask(f"{number}").head for number in range(200)]
    for key in keys:
        home = at_home(pool, key)
        rest = [one for one in pool if one is not pool[3]]
        assert at_home(rest, key) is home or home is pool[3]


def test_load_wins_over_a_cached_prefix() -> None:
    """A replica that is much fuller than others is left, whatever it has cached."""
    pool, draw = standings(2), Random(2)
    wanted = ask()
    home = at_home(pool, wanted.head)
    assert choose(pool, wanted, now=0, draw=draw) is home
    for _ in range(10):
        home.begin(1_024)
    chosen = Counter(choose(pool, wanted, now=0, draw=draw) is home for _ in range(40))
    assert chosen[False] > chosen[True]


def test_an_adapter_is_looked_for_where_it_is() -> None:
    """One that is known to have it is taken, one that lacked it lately is not."""
    pool, draw = standings(16), Random(3)
    revision = "legal--0123456789abcdef"
    pool[5].wrote(revision)
    for other in (one for one in pool if one is not pool[5]):
        other.lacks(revision, 0)
    for number in range(50):
        assert choose(pool, ask(f"{number}", revision), now=1, draw=draw) is pool[5]
    assert not pool[4].absent(revision, ABSENT_S + 1)


def test_errors_fade() -> None:
    """A replica that failed is avoided, and the less the longer ago that was."""
    pool, draw = standings(2), Random(4)
    pool[0].erred(0)
    pool[0].erred(0)
    chosen = Counter(choose(pool, ask(f"{n}"), now=0.1, draw=draw).name for n in range(100))
    assert chosen[pool[1].name] > 60
    assert pool[0].errors(100) < 0.01


def test_the_same_seed_chooses_alike() -> None:
    """Randomness comes in: the same draws give the same choices."""
    pool = standings(32)
    first = [choose(pool, ask(f"{n}"), now=0, draw=Random(7)) for n in range(20)]
    assert first == [choose(pool, ask(f"{n}"), now=0, draw=Random(7)) for n in range(20)]


def test_a_cold_adapter_stays_on_one() -> None:
    """As long as there is room where it is, one that is seldom asked for is loaded once."""
    pool, draw = standings(16), Random(5)
    chosen = set()
    for number in range(50):
        wanted = ask(f"{number}", "legal--0123456789abcdef")
        replica = choose(pool, wanted, now=number, draw=draw)
        replica.begin(wanted.tokens, wanted.revision)
        replica.end(wanted.tokens, wanted.revision)
        chosen.add(replica.name)
    assert chosen == {at_home(pool, zlib.crc32(b"legal--0123456789abcdef")).name}


def test_a_hot_adapter_spreads() -> None:
    """One with more answers at once than a replica should have comes to others."""
    pool, draw = standings(16), Random(6)
    for number in range(160):
        wanted = ask(f"{number}", "legal--0123456789abcdef")
        choose(pool, wanted, now=0, draw=draw).begin(wanted.tokens, wanted.revision)
    loads = [one.answers for one in pool]
    assert sum(load > 0 for load in loads) >= 8
    assert max(loads) < 40


def test_a_conversation_stays_where_its_adapter_is() -> None:
    """Its home is one of the replicas that have the adapter, the same for each turn."""
    pool, draw = standings(16), Random(7)
    revision = "legal--0123456789abcdef"
    having = pool[3], pool[9]
    for one in having:
        one.wrote(revision)
    later = Message(role=Role.USER, content="那罰則呢？")
    homes = Counter[str]()
    for number in range(60):
        first = choose(pool, ask(f"{number}", revision), now=0, draw=draw)
        assert choose(pool, ask(f"{number}", revision, later), now=0, draw=draw) is first
        homes[first.name] += 1
    assert set(homes) == {one.name for one in having}
    assert min(homes.values()) > 15


def test_a_crowded_device_is_no_place_for_another_adapter() -> None:
    """Where answers use all the room for adapters, one more would wait for one of them to end."""
    pool, draw = standings(8), Random(8)
    revision = "legal--0123456789abcdef"
    home = at_home(pool, zlib.crc32(revision.encode()))
    home.told(EngineMetrics(max_loras=2), until=0)
    assert choose(pool, ask("?", revision), now=1, draw=draw) is home
    home.begin(1, "medical--fedcba9876543210")
    home.begin(1, "hospital--00000000000000aa")
    assert home.crowded
    chosen = {choose(pool, ask(f"{n}", revision), now=1, draw=draw).name for n in range(50)}
    assert home.name not in chosen
    home.end(1, "medical--fedcba9876543210")
    assert not home.crowded


def late(doublings: float, name: str = "a") -> Standing:
    """Give a replica whose first words have been so late for a while."""
    standing = Standing(name)
    for _ in range(60):
        standing.spoke(doublings, now=0)
    return standing


@pytest.mark.parametrize(
    ("doublings", "least", "costs"),
    [
        (0.0, 0.0, 0.0),
        (0.5, 0.0, 0.0),  # not clearly later
        (1.0, 0.0, 2.0),  # twice the time
        (2.0, 0.0, 6.0),
        (3.0, 0.0, 8.0),  # and never more
        (3.0, -3.0, 8.0),
        (0.0, -1.0, 2.0),  # it has most of the answers, so that what is usual is its own
        (2.0, 2.0, 0.0),  # all are as late: there is no better one
        (-2.0, -2.0, 0.0),
    ],
)
def test_what_late_first_words_cost(doublings: float, least: float, costs: float) -> None:
    """Only what is clearly later than with the best of the few, four a doubling, eight at most."""
    moment = Moment(ask=ask(), now=0, home="", least_late=least)
    assert round(lag(late(doublings), moment), 3) == costs


def test_errors_and_lateness_outweigh_not_everything() -> None:
    """However slow and faulty a replica is, one that is much fuller still is left for it."""
    bad, full = late(3.0), Standing("full")
    for _ in range(50):
        bad.erred(0)
        full.begin(0)
    moment = Moment(ask=ask(), now=0, home="")
    assert trouble(bad, moment) == 16
    assert cost(bad, moment) < 25 < cost(full, moment)


def test_a_slow_replica_gets_less_and_recovers_by_itself() -> None:
    """It loses its conversations, some of them come back after a while, all when it is mended."""

    def share(now: float) -> float:
        chosen = Counter(choose(pool, ask(f"{n}"), now=now, draw=draw).name for n in range(300))
        return chosen[slow.name] / 300

    pool, draw = standings(3), Random(9)
    slow = pool[1]
    assert 0.2 < share(0) < 0.45
    for _ in range(12):
        slow.spoke(3.0, now=0)
    assert 0 < share(0) < 0.1  # where it is drawn each time
    assert share(3 * LATE_HALF_LIFE_S) > 0.2  # nobody has heard of it since
    for _ in range(12):
        slow.spoke(0.0, now=0)
    assert 0.2 < share(0) < 0.45


def test_a_slow_replica_gets_a_trickle() -> None:
    """Where there is much to do it has a share of it, from which its recovery can be seen."""
    pool, draw = standings(3), Random(10)
    for _ in range(12):
        pool[1].spoke(3.0, now=0)
    for number in range(60):
        choose(pool, ask(f"{number}"), now=0, draw=draw).begin(1_024)
    quick = pool[0].answers + pool[2].answers
    assert 0 < 2 * pool[1].answers < quick
    assert abs(pool[0].answers - pool[2].answers) <= 6
