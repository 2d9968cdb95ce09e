"""The limit of a backend: what lowers it, what raises it, and what does neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import limit_choice
from tame_router.backends.queueing.first_token import LEARNT, PERIOD_S
from tame_router.backends.queueing.limit import SAMPLES, AdaptiveLimit, LimitRules

WRITING_S = 2.0
FIRST_S = 0.3


class Answers:
    """Answers that one limit is told of, a handful at a time."""

    def __init__(self, **rules: float) -> None:
        self.limit = AdaptiveLimit(LimitRules(**rules))  # type: ignore[arg-type]
        self.now = 1_000.0
        self.tell(FIRST_S, times=LEARNT, crowded=False)
        self.limit.ended(held_s=FIRST_S + WRITING_S, waited_s=0.0)

    def leave_waiting(self, count: int) -> None:
        """Let so many have asked long ago that have no first token yet; 0: all have one now."""
        for number in range(100):
            self.limit.heard(number)
        for number in range(count):
            self.limit.asked(number, began=self.now - 100.0, crowded=False)

    def tell(
        self, first_s: float, *, times: int = SAMPLES, chars: int = 500, crowded: bool = True
    ) -> int:
        """Let answers begin whose first token takes so long, and give the limit then."""
        began, self.now = self.now, self.now + first_s
        for number in range(times):
            self.limit.asked(-1 - number, began=began, crowded=crowded)
        for number in range(times):
            self.limit.heard(-1 - number)
            self.limit.first_token(began=began, now=self.now, prompt_chars=chars)
        return self.limit.value


def test_it_begins_where_it_is_told() -> None:
    """Before anything is known the limit is the one that was set."""
    assert AdaptiveLimit(LimitRules(start=40, least=4, most=50)).value == 40


def test_one_look_finds_the_places() -> None:
    """A third of their time spent waiting: a third of the answers wait, and are too many."""
    answers = Answers(start=100)
    answers.leave_waiting(33)
    assert answers.tell(FIRST_S + (FIRST_S + WRITING_S) / 2) == round(100 * 2 / 3 * 0.95)


def test_it_is_at_most_halved_by_one_look() -> None:
    """However long first tokens take, one look does not take more than half."""
    answers = Answers(start=100)
    answers.leave_waiting(80)
    assert answers.tell(FIRST_S + 5 * WRITING_S) == 50


def test_no_more_are_too_many_than_wait() -> None:
    """Where ends come in waves a few wait long; as many as that are taken off, and no more."""
    answers = Answers(start=100)
    assert answers.tell(FIRST_S + 5 * WRITING_S) == round((100 - SAMPLES) * 0.95)


def test_it_never_leaves_its_ends() -> None:
    """Neither waiting nor refusals bring it below `least`, nor a quick server above `most`."""
    answers = Answers(start=100, least=60, most=110)
    for _ in range(5):
        answers.tell(FIRST_S + 5 * WRITING_S)
        answers.limit.refused(began=answers.now, now=answers.now, under_way=3)
    assert answers.limit.value == 60
    for _ in range(50):
        answers.tell(FIRST_S)
    assert answers.limit.value == 110


@pytest.mark.parametrize("first_s", [FIRST_S + 0.1, FIRST_S + 0.49])
def test_a_little_waiting_lowers_nothing(first_s: float) -> None:
    """Less than `wait_s` is the batch, and no queue."""
    assert Answers(start=100, wait_s=0.5).tell(first_s) >= 100


def test_a_few_that_wait_lower_nothing() -> None:
    """A twentieth of the answers may wait in the server, which keeps all its places busy."""
    assert Answers(start=100, wait_s=0.0).tell(FIRST_S + WRITING_S / 20) == 100


def test_long_answers_lower_nothing() -> None:
    """Answers that take minutes to write are no sign of a queue, however many they are."""
    answers = Answers(start=100)
    for _ in range(100):
        answers.limit.ended(held_s=600, waited_s=0.0)
    assert answers.tell(FIRST_S) > 100


def test_long_prompts_lower_nothing() -> None:
    """A prompt that takes longer to read is held against others of its size alone."""
    answers = Answers(start=100, most=100)
    answers.tell(30 * FIRST_S, times=SAMPLES * 3, chars=50_000)
    assert answers.limit.value == 100


def test_cold_adapters_lower_nothing() -> None:
    """That most first tokens are late is a queue; that some are is something else."""
    answers = Answers(start=100, most=100)
    for _ in range(5):
        began, answers.now = answers.now, answers.now + FIRST_S + 3
        for number in range(SAMPLES):
            at = answers.now if number % 3 == 0 else began + FIRST_S
            answers.limit.first_token(began=began, now=at, prompt_chars=500)
    assert answers.limit.value == 100


def test_it_grows_only_where_it_is_reached() -> None:
    """Quick answers of a service with little to do say nothing of what more would do."""
    answers = Answers(start=100)
    assert answers.tell(FIRST_S, crowded=False) == 100
    assert answers.tell(FIRST_S) == 150


def test_it_grows_fast_until_it_was_too_many() -> None:
    """From a low beginning a large server is full after a few looks, though no answer has ended."""
    limit, now = AdaptiveLimit(LimitRules(start=32)), 0.0
    for _ in range(6):
        for number in range(SAMPLES):
            limit.asked(number, began=now, crowded=number == SAMPLES - 1)
        for number in range(SAMPLES):
            limit.heard(number)
            limit.first_token(began=now, now=now + FIRST_S, prompt_chars=500)
        now += FIRST_S
    assert limit.value > 200


def found(**rules: float) -> Answers:
    """Give a limit that has found about 67 places, and has them all in use."""
    answers = Answers(start=100, **rules)
    answers.leave_waiting(33)
    answers.tell(FIRST_S + (FIRST_S + WRITING_S) / 2)
    answers.leave_waiting(0)
    answers.tell(FIRST_S)
    return answers


def test_it_goes_back_to_what_it_found() -> None:
    """Below the places that were found it grows by a twentieth, beyond by steps that double."""
    answers = found()
    assert answers.limit.value == 66
    assert [answers.tell(FIRST_S) for _ in range(5)] == [67, 67, 69, 71, 77]


def test_what_is_one_too_many_is_not_tried_again_soon() -> None:
    """Where one waits it goes a step back, and stays there for a period."""
    answers = found()
    grown = [answers.tell(FIRST_S) for _ in range(5)]
    assert answers.tell(FIRST_S + 0.1) in grown[:-1]
    kept = answers.limit.value
    assert [answers.tell(FIRST_S) for _ in range(20)] == [kept] * 20
    answers.now += PERIOD_S
    for _ in range(3):  # one of them looks closer
        answers.tell(FIRST_S)
    assert answers.limit.value > kept


def test_it_begins_anew_with_small_steps() -> None:
    """Where many wait a little it goes back to what it found, and its next step is a first one."""
    answers = found()
    for _ in range(5):
        answers.tell(FIRST_S)
    assert answers.tell(FIRST_S + 0.3) == 67
    answers.now += PERIOD_S
    assert [answers.tell(FIRST_S) for _ in range(3)][1:] == [67, 67]  # the first looks closer


def test_one_that_waits_long_keeps_it_from_going_beyond() -> None:
    """A quarter of 16 says nothing of the one of 13 that waits before 12 places."""
    answers = found()
    for _ in range(3):
        answers.tell(FIRST_S + 0.6, times=1)
        answers.tell(FIRST_S, times=SAMPLES - 1)
    assert answers.limit.value == 67


def late(answers: Answers, count: int) -> int:
    """Let answers begin so many of which take long for a reason of their own."""
    answers.tell(FIRST_S + 1.0, times=count)
    return answers.tell(FIRST_S, times=SAMPLES - count)


def test_cold_adapters_do_not_keep_it_where_it_is() -> None:
    """A server that has become larger is found out, though one first token in 16 is late."""
    answers = Answers(start=100)
    answers.leave_waiting(33)
    answers.tell(FIRST_S + (FIRST_S + WRITING_S) / 2)
    answers.leave_waiting(0)
    until = answers.now + 10 * PERIOD_S
    while answers.now < until:
        late(answers, 1)
    assert answers.limit.value > 100


def test_what_is_late_now_and_then_puts_nothing_off() -> None:
    """Only a step that was one too many is not tried again for a period."""
    answers = found()
    until = answers.now + 10 * PERIOD_S
    while answers.now < until:
        for _ in range(6):
            answers.tell(FIRST_S)
        late(answers, 1)
    assert answers.limit.value > 100


def test_what_first_tokens_vary_by_is_no_waiting() -> None:
    """As long as they took where there were fewer, they may take beyond what was found."""
    answers = Answers(start=100)
    answers.leave_waiting(33)
    answers.tell(FIRST_S + (FIRST_S + WRITING_S) / 2)
    answers.leave_waiting(0)
    assert [answers.tell(FIRST_S + 0.05) for _ in range(4)] == [66, 67, 67, 69]


@pytest.mark.parametrize(("silent", "grown"), [(5, 150), (6, 100)])
def test_those_that_wait_still_keep_it_from_growing(silent: int, grown: int) -> None:
    """First come the tokens of answers that found a place; the others count before they speak."""
    answers = Answers(start=100, wait_s=1.0)
    for number in range(silent):
        answers.limit.asked(number, began=answers.now - 10.0, crowded=False)
    for number in range(silent, 30):
        answers.limit.asked(number, began=answers.now, crowded=False)
    assert answers.tell(FIRST_S) == grown
    for number in range(30):
        answers.limit.heard(number)
    assert answers.tell(FIRST_S) > grown


def test_what_began_before_a_change_does_not_count() -> None:
    """First tokens of answers that met the longer queue do not lower the limit once more."""
    answers = Answers(start=100)
    lowered = answers.tell(FIRST_S + WRITING_S)
    before = answers.now - 1.0
    for _ in range(SAMPLES * 3):
        answers.limit.first_token(began=before, now=answers.now, prompt_chars=500)
        answers.limit.refused(began=before, now=answers.now, under_way=lowered)
    assert answers.limit.value == lowered


def test_a_server_that_refuses_gets_less() -> None:
    """429 and 503 lower it below what was under way, once for all that were asked together."""
    answers = Answers(start=100)
    for _ in range(10):
        answers.limit.refused(began=answers.now - 1, now=answers.now, under_way=40)
    assert answers.limit.value == 36


def test_shortest_times_are_looked_for_anew() -> None:
    """Once a period it lets the server's queue empty, and then goes back to where it was."""
    answers = Answers(start=100, most=100)
    values = []
    while answers.now < 1_000 + 2 * PERIOD_S + 20:
        values.append(answers.tell(FIRST_S))
    assert min(values) < 95
    assert values.count(100) > 0.9 * len(values)
    assert answers.limit.value == 100


@given(st.lists(st.tuples(st.sampled_from("fer"), st.floats(0, 100)), max_size=200))
def test_whatever_happens_it_stays_within_its_ends(happens: list[tuple[str, float]]) -> None:
    """No order of events and times takes it out of its range."""
    limit, now = AdaptiveLimit(LimitRules(start=20, least=4, most=40)), 0.0
    for what, seconds in happens:
        now += seconds
        if what == "f":
            limit.asked(1, began=now - seconds, crowded=True)
            limit.first_token(began=now - seconds, now=now, prompt_chars=round(seconds))
        elif what == "e":
            limit.ended(held_s=seconds, waited_s=None)
        else:
            limit.refused(began=now, now=now, under_way=round(seconds))
        assert 4 <= limit.value <= 40


@pytest.mark.parametrize("name", limit_choice.SERVERS)
def test_a_server_is_kept_busy(name: str) -> None:
    """Before each simulated server the limit wastes a few places in a hundred at most."""
    server = limit_choice.SERVERS[name]
    limit = limit_choice.LIMITS["this one"]()
    best, _ = limit_choice.measure(server, limit_choice.Fixed(), seconds=120, seed=1)
    busy, _ = limit_choice.measure(server, limit, seconds=120, seed=1)
    assert busy >= 0.95 * best
    if name not in {"one token, batched", "short answers"}:
        places = server.places // (2 if server.shrinks else 1)
        assert 0.8 * places <= limit.value  # it may just be looking closer
        assert limit.value <= 1.25 * places
