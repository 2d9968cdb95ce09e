"""Windows of what a peer may send, and what it may have done for nothing."""

import pytest

from tame_router.http2.allowance import EARNED, MOST, PER_SECOND, Allowance
from tame_router.http2.credit import Credit
from tame_router.http2.frame import ConnectionFault, ErrorCode


def test_a_peer_is_told_once_a_share_is_read() -> None:
    """And may then send that much more."""
    credit = Credit(100, 50)
    credit.take(100)
    assert credit.read(49) == 0
    assert credit.read(11) == 60
    credit.take(60)
    with pytest.raises(ConnectionFault) as raised:
        credit.take(1)
    assert raised.value.code is ErrorCode.FLOW_CONTROL_ERROR


def test_frames_that_cost_work_are_counted() -> None:
    """A flood ends the connection; a steady few, and answers to what was sent, do not."""
    now = 0.0
    allowance = Allowance(lambda: now)
    allowance.take(MOST)
    with pytest.raises(ConnectionFault) as raised:
        allowance.take()
    assert raised.value.code is ErrorCode.ENHANCE_YOUR_CALM
    steady = Allowance(lambda: now)
    for _ in range(10):
        steady.take(MOST)
        now += MOST / PER_SECOND
    for _ in range(3 * MOST):
        steady.give(1)
        steady.take(EARNED)
