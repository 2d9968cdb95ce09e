"""Whoever counts what happens to adapters learns of all that is kept, once."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tame_router.config import StoreSettings
from tame_router.errors import BackendUnavailableError, TameError
from tame_router.errors_registry import InvalidTransitionError, RevisionRefusedError
from tame_router.registry.jobs.worker import Worker
from tame_router.registry.observer import Observer, Unobserved
from tame_router.registry.record import ROUTER, Job, JobKind
from tame_router.registry.records.access import Records
from tame_router.registry.state import Event
from tests.registry.known import PARTNER, approve, job

pytestmark = pytest.mark.anyio


class Heard:
    """Writes down what it is told.

    Attributes:
        told: All of it, in order.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.job = anyio.Event()

    def adapter_changed(self, state: str) -> None:
        """Write the state."""
        self.told.append(state)

    def adapter_label_moved(self, action: str, *, by_router: bool) -> None:
        """Write the action."""
        self.told.append(f"{action} by {'router' if by_router else 'caller'}")

    def adapter_copied(self, outcome: str) -> None:
        """Write the outcome."""
        self.told.append(f"copy {outcome}")

    def adapter_corrupt(self) -> None:
        """Write that."""
        self.told.append("corrupt")

    def adapters_untrusted(self, count: int) -> None:
        """Write how many."""
        self.told.append(f"{count} untrusted")

    def adapter_job_failed(self, kind: str, *, for_good: bool) -> None:
        """Write the kind."""
        self.told.append(f"{kind} failed{' for good' if for_good else ''}")
        self.job.set()


@pytest.fixture
def heard() -> Heard:
    """Give one that was told nothing."""
    return Heard()


@pytest.fixture
async def records(
    store_settings: StoreSettings, tmp_path: Path, heard: Heard
) -> AsyncIterator[Records]:
    """Give empty records that are listened to, closed afterwards."""
    records = Records(store_settings, tmp_path, heard)
    yield records
    await records.close()


async def test_steps_and_moves_are_told_as_they_are_written_down(
    records: Records, heard: Heard
) -> None:
    """Each change of a state and each move of a label, in order, and who moved it."""
    name = await records.ask(approve)
    assert heard.told == ["validating", "evaluating", "approved"]
    heard.told.clear()
    await records.ask(lambda store: store.happen(name, Event.PUBLISH, PARTNER, "wanted"))
    await records.ask(lambda store: store.publish(name, None, "", None, PARTNER, "wanted"))
    assert heard.told == ["publishing", "active", "publish by caller"]
    heard.told.clear()
    await records.ask(lambda store: store.rollback("legal", "", "", None, ROUTER, "worse"))
    assert heard.told == ["retired", "rollback by router"]


async def test_what_is_refused_is_not_told(records: Records, heard: Heard) -> None:
    """A change that is not kept has not happened."""
    name = await records.ask(approve)
    heard.told.clear()
    with pytest.raises(InvalidTransitionError):
        await records.ask(lambda store: store.happen(name, Event.VALIDATED, PARTNER, "again"))
    await records.ask(lambda store: store.get(name))
    assert heard.told == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendUnavailableError("the engine is away"), "validate failed"),
        (RevisionRefusedError("it is no adapter"), "validate failed for good"),
    ],
    ids=["later", "given up"],
)
async def test_a_job_that_fails_is_told(
    records: Records, heard: Heard, error: TameError, told: str
) -> None:
    """Also whether it is begun again."""

    async def fail(_: Job) -> None:
        raise error

    async def give_up(_: Job, __: str) -> None:
        return

    await records.ask(lambda store: store.add_job(job("one")))
    steps = {JobKind.VALIDATE: fail}
    worker = Worker(records, steps, give_up, owner="a", lease_s=9, poll_s=9, observer=heard)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        with anyio.fail_after(10):
            await heard.job.wait()
        group.cancel_scope.cancel()
    assert heard.told == [told]


def test_nobody_needs_to_listen() -> None:
    """Without an observer everything is taken, and nothing kept."""
    silent: Observer = Unobserved()
    silent.adapter_changed("active")
    silent.adapter_label_moved("publish", by_router=False)
    silent.adapter_corrupt()
    silent.adapters_untrusted(1)
    silent.adapter_job_failed("validate", for_good=True)
