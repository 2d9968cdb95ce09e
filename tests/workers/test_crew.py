"""Workers that do not start, hang or die: the others go on, and the end comes in time."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tame_router.workers.crew import Crew
from tame_router.workers.worker import Worker, WorkerFailedError
from tests.quota.poll import until
from tests.workers.fake_worker import READY, WAITS, program

pytestmark = pytest.mark.anyio

Hire = Callable[..., Crew]


@pytest.fixture
async def hire(tmp_path: Path) -> AsyncIterator[Hire]:
    """Give a maker of crews, which are gone when the test ends."""
    made: list[Crew] = []

    def make(command: list[str], count: int = 1) -> Crew:
        made.append(Crew(command, count, tmp_path, grace_s=1.0))
        return made[-1]

    yield make
    for crew in made:
        await crew.end()


def alive(pid: int) -> bool:
    """Tell whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_what_cannot_be_started_says_so(hire: Hire) -> None:
    """No program, one that ends, and one that does not come to take calls are all the same."""
    with pytest.raises(WorkerFailedError, match="no worker can be started"):
        await hire(["/nowhere/python"]).start()
    with pytest.raises(WorkerFailedError, match="exit code 7") as caught:
        await hire(program("raise SystemExit(7)"), 2).start()
    assert caught.value.exit_code == 7
    with pytest.raises(WorkerFailedError, match="did not say within"):
        await Worker.start(program(WAITS), within_s=0.3)
    with pytest.raises(WorkerFailedError, match="did not say within"):
        await Worker.start(program("print('x' * 100_000, flush=True)", WAITS))


async def test_all_or_none_start(hire: Hire, tmp_path: Path) -> None:
    """Where the second one does not start, the first one does not stay."""
    first = tmp_path / "first"
    lines = (
        "import os, pathlib",
        f"pathlib.Path({str(first)!r}).open('x').write(str(os.getpid()))",
        READY,
        WAITS,
    )
    with pytest.raises(WorkerFailedError):
        await hire(program(*lines), 2).start()
    assert not alive(int(first.read_text()))


async def test_one_that_cannot_be_replaced_takes_nobody_along(hire: Hire) -> None:
    """No process to be had, and it is tried again; the other worker serves on."""
    command = program(READY, WAITS)
    interpreter = command[0]
    crew = hire(command, 2)
    await crew.start()
    one, other = crew.pids
    async with anyio.create_task_group() as group:
        group.start_soon(crew.keep)
        command[0] = "/nowhere/python"
        os.kill(one, signal.SIGKILL)
        await anyio.lowlevel.checkpoint()
        await until(lambda: not alive(one))
        assert alive(other)
        command[0] = interpreter
        with anyio.fail_after(20):
            await until(lambda: one not in crew.pids)
        assert alive(other)
        await crew.end()


async def test_a_replacement_that_hangs_does_not_hold_the_end_up(hire: Hire) -> None:
    """The crew ends while a worker has not come to take calls, and that one is gone too."""
    command = program(READY, WAITS)
    crew = hire(command)
    await crew.start()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(crew.keep)
            command[-1] = WAITS
            os.kill(crew.pids[0], signal.SIGKILL)
            await anyio.sleep(1.5)  # the replacement is on its way, and says nothing
            await crew.end()


async def test_metrics_that_cannot_be_kept_end_nobody(hire: Hire, tmp_path: Path) -> None:
    """A worker is replaced also where the folder of the metrics has gone."""
    crew = hire(program(READY, WAITS))
    await crew.start()
    before = crew.pids
    async with anyio.create_task_group() as group:
        group.start_soon(crew.keep)
        await anyio.to_thread.run_sync(tmp_path.rmdir)
        os.kill(before[0], signal.SIGKILL)
        with anyio.fail_after(20):
            await until(lambda: crew.pids != before)
        await crew.end()
