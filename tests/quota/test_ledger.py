"""What tenants have used, by a model that keeps every answer in a list."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tame_router.errors import QuotaExceededError
from tame_router.quota.ledger import Hold, Ledger, part
from tame_router.quota.limit import ANSWER_LIMITS, Limit, Unit
from tame_router.tenancy.tenant import Limits, Tenant

CAP = st.none() | st.integers(0, 40)
LIMITS = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(0, 6),
    requests_per_day=st.none() | st.integers(0, 12),
    tokens_per_minute=CAP,
    tokens_per_day=st.none() | st.integers(0, 100),
    concurrent_streams=st.none() | st.integers(0, 3),
)
ACTION = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 30)),
    st.tuples(st.just("settle"), st.integers(0, 30)),
    st.tuples(st.just("overrun"), st.integers(1, 60)),
    st.tuples(st.just("fail"), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 2, 17, 59, 60, 61, 900, 40_000, 87_300])),
)
BEGIN = 1_000_000.5


@dataclass
class Use:
    """An amount of something at a moment."""

    unit: Unit
    moment: float
    amount: int


@dataclass
class Model:
    """Keeps all that was used, and adds it up each time."""

    limits: Limits
    uses: list[Use] = field(default_factory=list)
    open: int = 0

    def used(self, limit: Limit, now: float) -> int:
        """Add up what is in a span."""
        edge = limit.step(now) - limit.steps
        return sum(
            u.amount for u in self.uses if u.unit is limit.unit and limit.step(u.moment) >= edge
        )

    def fits(self, tokens: int, now: float) -> bool:
        """Tell whether an answer may begin."""
        streams = self.limits.concurrent_streams
        if streams is not None and self.open >= streams:
            return False
        for limit in ANSWER_LIMITS:
            cap = limit.cap(self.limits)
            amount = tokens if limit.unit is Unit.TOKENS else 1
            if cap is not None and self.used(limit, now) + amount > cap:
                return False
        return True


def end(model: Model, held: tuple[Hold, Use, Use], given: int | None, now: float) -> None:
    """Settle in the model."""
    _, request, use = held
    model.open -= 1
    if given is None:
        request.amount = 0
    tokens = given or 0
    if tokens > use.amount:
        model.uses.append(Use(Unit.TOKENS, now, tokens - use.amount))
    else:
        use.amount = tokens


@given(LIMITS, st.lists(ACTION, max_size=60))
def test_it_counts_as_the_model_does(limits: Limits, actions: list[tuple[str, int]]) -> None:
    """What is admitted is what fits, in all windows or none; refunds and debts are exact."""
    ledger, model, now = Ledger(), Model(limits), BEGIN
    account = ledger.account(Tenant(name="aa", limits=limits))
    held: list[tuple[Hold, Use, Use]] = []
    for action, value in actions:
        if action == "wait":
            now += value
        elif action == "reserve":
            try:
                hold = ledger.admit(account, value, now)
            except QuotaExceededError:
                assert not model.fits(value, now)
                continue
            assert model.fits(value, now)
            uses = (Use(Unit.REQUESTS, now, 1), Use(Unit.TOKENS, now, value))
            model.uses += uses
            model.open += 1
            held.append((hold, *uses))
        elif held:
            taken = held.pop(value % len(held))
            used = min(value, taken[0].tokens) if action == "settle" else value
            tokens = None if action == "fail" else used
            ledger.settle(taken[0], tokens, now)
            end(model, taken, tokens, now)
        for gauge in account.answers:
            assert gauge.window.used(now) == model.used(gauge.limit, now)


@given(LIMITS, st.lists(st.tuples(st.integers(0, 30), st.floats(0, 50)), max_size=60))
def test_no_span_anywhere_holds_more_than_its_limit(
    limits: Limits, asked: list[tuple[int, float]]
) -> None:
    """Not only the spans that are asked about: every 60 seconds, wherever they begin."""
    ledger, now = Ledger(), BEGIN
    account = ledger.account(Tenant(name="aa", limits=limits))
    uses: list[Use] = []
    for tokens, wait in asked:
        now += wait
        try:
            hold = ledger.admit(account, tokens, now)
        except QuotaExceededError:
            continue
        ledger.settle(hold, tokens or 1, now)
        uses += (Use(Unit.REQUESTS, now, 1), Use(Unit.TOKENS, now, tokens))
    for limit in ANSWER_LIMITS:
        cap, length = limit.cap(limits), limit.step_s * limit.steps
        for first in uses if cap is not None else ():
            inside = (u for u in uses if 0 <= u.moment - first.moment < length)
            total = sum(u.amount for u in inside if u.unit is limit.unit)
            assert total <= (cap or 0)


@given(LIMITS, st.integers(1, 40), st.integers(0, 200))
def test_who_comes_back_when_told_is_let_in(limits: Limits, tokens: int, used: int) -> None:
    """And a moment before that, it is not."""
    ledger = Ledger()
    account = ledger.account(Tenant(name="aa", limits=limits))
    account.stream_cap = None
    for i in range(used):
        try:
            ledger.settle(ledger.admit(account, 1, BEGIN + i), 1, BEGIN + i)
        except QuotaExceededError:
            break
    now = BEGIN + used
    for _ in range(len(ANSWER_LIMITS) * 2):
        try:
            ledger.admit(account, tokens, now)
        except QuotaExceededError as error:
            if error.retry_after_s is None:
                assert min(g.cap - g.amount(tokens) for g in account.answers) < 0
                return
            if error.retry_after_s > 2:
                with pytest.raises(QuotaExceededError):
                    ledger.admit(account, tokens, now + error.retry_after_s - 2)
            now += error.retry_after_s
        else:
            return
    pytest.fail("sent away again and again")


def test_new_limits_hold_at_once_and_forget_nothing() -> None:
    """What was used under the old ones counts under the new ones."""
    ledger = Ledger()
    account = ledger.account(Tenant(name="aa", limits=Limits(requests_per_day=5)))
    for _ in range(3):
        ledger.admit(account, 0, BEGIN)
    account = ledger.account(Tenant(name="aa", limits=Limits(requests_per_day=3)))
    with pytest.raises(QuotaExceededError, match="3 requests are used"):
        ledger.admit(account, 0, BEGIN)


def test_uploads_count_for_themselves() -> None:
    """Bytes have a limit of their own, and take nothing from answers."""
    ledger = Ledger()
    account = ledger.account(Tenant(name="aa", limits=Limits(upload_bytes_per_day=100)))
    ledger.take(account, 60, BEGIN)
    with pytest.raises(QuotaExceededError, match="upload_bytes_per_day is 100: 60 bytes"):
        ledger.take(account, 41, BEGIN)
    ledger.take(account, 40, BEGIN)
    assert account.unlimited


def test_what_is_restored_counts_and_an_unknown_limit_does_not() -> None:
    """A table may hold what another version has written."""
    ledger = Ledger()
    ledger.restore("aa", "requests_per_day", int(BEGIN // 900), 2)
    ledger.restore("aa", "prayers_per_day", 1, 2)
    assert list(ledger.counts()) == [("aa", "requests_per_day", int(BEGIN // 900), 2)]
    account = ledger.account(Tenant(name="aa", limits=Limits(requests_per_day=2)))
    with pytest.raises(QuotaExceededError):
        ledger.admit(account, 0, BEGIN)


@pytest.mark.parametrize(
    ("cap", "share", "expected"), [(100, 0.25, 25), (2, 0.25, 1), (0, 0.25, 0), (7, 1.0, 7)]
)
def test_a_share_is_at_least_one(cap: int, share: float, expected: int) -> None:
    """Only of nothing a share is nothing."""
    assert part(cap, share) == expected
