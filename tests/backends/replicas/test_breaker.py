"""The circuit breaker: when it opens, and that one probe closes it."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.backends.replicas.breaker import Breaker, BreakerRules, BreakerState

RULES = BreakerRules(failures=3, cool_down_s=1, max_cool_down_s=4)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    """A success in between begins the count anew."""
    breaker = Breaker(RULES)
    assert not breaker.failed(0, decisive=False)
    assert not breaker.failed(0, decisive=False)
    breaker.succeeded()
    assert not breaker.failed(0, decisive=False)
    assert not breaker.failed(0, decisive=False)
    assert breaker.failed(0, decisive=False)
    assert breaker.state is BreakerState.OPEN


def test_one_decisive_failure_opens_it() -> None:
    """Where nothing listens, nothing is asked twice."""
    assert Breaker(RULES).failed(0, decisive=True)


def test_one_probe_passes_at_a_time() -> None:
    """Half open, nothing else passes; the cool-down doubles up to its limit."""
    breaker = Breaker(RULES)
    breaker.trip(10)
    assert not breaker.may_probe(10.9)
    for at, cool_down_s in ((11.0, 2), (13.0, 4), (17.0, 4)):
        assert breaker.may_probe(at)
        assert not breaker.may_probe(at)
        breaker.probed(at, passed=False)
        assert breaker.probe_at == at + cool_down_s
    breaker.hurry(18)
    assert breaker.may_probe(18)
    breaker.probed(18, passed=True)
    assert breaker.state is BreakerState.CLOSED
    breaker.trip(20)
    assert breaker.probe_at == 21


@given(st.lists(st.sampled_from(["fail", "fatal", "well", "probe", "passed", "missed"])))
def test_only_a_probe_that_passed_closes_it(steps: list[str]) -> None:
    """Whatever happens, an open breaker closes by a probe alone."""
    breaker, now = Breaker(RULES), 0.0
    for step in steps:
        before = breaker.state
        now += 1
        match step:
            case "fail" | "fatal":
                breaker.failed(now, decisive=step == "fatal")
            case "well":
                breaker.succeeded()
            case "probe":
                breaker.may_probe(now)
            case _:
                breaker.probed(now, passed=step == "passed")
        if before is not BreakerState.CLOSED and breaker.state is BreakerState.CLOSED:
            assert (before, step) == (BreakerState.HALF_OPEN, "passed")
