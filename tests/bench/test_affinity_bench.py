"""The simulation of affinity, in short: what the choice is for holds, and a seed is a run."""

from bench.affinity import POLICIES, Case, simulate, state_bytes
from bench.affinity_model import SimulatedReplica, traffic

SHORT = Case(replicas=8, adapters=200, answers=2_500, seed=3)


def without_times(told: dict[str, float]) -> dict[str, float]:
    """Leave out what this machine's speed decides."""
    return {name: value for name, value in told.items() if not name.startswith("choose")}


def test_adapters_are_loaded_less() -> None:
    """Beside all others it loads the fewest adapters, and first tokens come sooner."""
    told = {policy: simulate(SHORT, policy) for policy in POLICIES}
    ours = told.pop("tame")
    for other in told.values():
        assert ours["loads_per_1000"] < 0.7 * other["loads_per_1000"]
        assert ours["first_token_p99_s"] < other["first_token_p99_s"]
        assert ours["prefix_share"] > 2 * other["prefix_share"]


def test_a_seed_is_a_run() -> None:
    """The same seed gives the same figures, the times of this machine excepted."""
    first, again = (simulate(SHORT, "tame") for _ in range(2))
    assert without_times(first) == without_times(again)


def test_the_model_keeps_to_its_room() -> None:
    """No more adapters run at once than there is room for; those that find theirs go past."""
    replica = SimulatedReplica(max_loras=2)
    answers = list(traffic(answers=4, rate=1, adapters=1, zipf=1, seed=1))
    for answer, adapter in zip(answers, (0, 1, 2, 1), strict=True):
        answer.adapter = adapter
        replica.take(answer)
    begun = [answer for _, answer in replica.begin(10.0)]
    assert begun == [answers[0], answers[1], answers[3]]
    assert (replica.loads, replica.metrics().waiting) == (2, 1)
    replica.end(answers[0])
    assert [answer for _, answer in replica.begin(20.0)] == [answers[2]]
    assert replica.loads == 3


def test_the_state_is_small() -> None:
    """A replica costs kilobytes, and not more the more of them there are."""
    few, many = state_bytes(16, 8) / 16, state_bytes(128, 8) / 128
    assert many < 16_384
    assert many < 1.5 * few
