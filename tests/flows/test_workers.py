"""Several processes on one port: real ones, before the fake vLLM."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from urllib.request import urlopen

import anyio
import anyio.to_thread
import pytest
import yaml

from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta, Final
from tame_router.config import Settings
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace
from tests.http_wire import connect, get, read_response
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

LEGAL = QUESTIONS["legal"][0]
WAIT_S = 60.0


class Service:
    """`tame serve --workers 2`, as an operator runs it."""

    def __init__(self, config: Path, log: Path) -> None:
        self.config = config
        self.log = log
        command = [sys.executable, "-m", "tame_router", "serve", "--workers", "2"]
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, "--config", str(config)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        with self.process.stdout or nullcontext() as stdout:
            lines = [stdout.readline() for _ in range(2)] if stdout else []
        assert all(lines), log.read_text()
        self.grpc, self.http = (line.split(" on ")[1].strip() for line in lines)

    @property
    def workers(self) -> set[int]:
        """Process numbers of the workers."""
        pid = self.process.pid
        return {
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        }

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until something holds."""
        with anyio.fail_after(WAIT_S):
            await anyio.to_thread.run_sync(lambda: wait_for(what), abandon_on_cancel=True)

    async def logged(self, event: str) -> None:
        """Wait until something stands in the log."""
        await self.until(lambda: f'"{event}"' in self.log.read_text())


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    """Run two workers before the fake vLLM, and see that all is gone after them."""
    public = changed(settings, telemetry={"metrics_public": True}, server={"grace_s": 20})
    config = tmp_path / "tame.yaml"
    config.write_text(yaml.safe_dump(public.model_dump(mode="json"), allow_unicode=True))
    service = Service(config, tmp_path / "log")
    yield service
    everyone = [service.process.pid, *service.workers] if service.process.poll() is None else []
    service.process.terminate()
    assert service.process.wait(WAIT_S) == 0, service.log.read_text()
    assert not [pid for pid in everyone if exists(pid)]


def wait_for(what: Callable[[], bool]) -> None:
    """Look until something holds."""
    while not what():
        time.sleep(0.05)


def exists(pid: int) -> bool:
    """Tell whether there is a process of that number."""
    return Path(f"/proc/{pid}").exists()


async def ask(service: Service) -> str:
    """Ask over a connection of its own, and give the answer."""
    async with AsyncClient(service.grpc, attempts=1) as client:
        return (await client.chat(LEGAL)).content


def calls(service: Service) -> float:
    """Tell how many answers the metrics know of, whichever worker shows them."""
    with urlopen(f"http://{service.http}/metrics") as page:
        text = page.read().decode()
    lines = [line for line in text.splitlines() if line.startswith("tame_calls_total")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'method="Chat"' in line)


async def test_one_that_dies_is_replaced(service: Service) -> None:
    """Both answer; metrics are of both; one that is killed takes no other along, and comes back."""
    assert len(service.workers) == 2
    answers = {await ask(service) for _ in range(8)}
    assert len(answers) == 1
    await service.until(lambda: calls(service) == 8)
    victim = min(service.workers)
    os.kill(victim, signal.SIGKILL)
    await service.until(lambda: victim not in service.workers)
    assert await ask(service) in answers
    await service.until(lambda: len(service.workers) == 2)
    await service.until(lambda: service.log.read_text().count('"server.started"') == 3)
    assert await ask(service) in answers


async def test_all_are_replaced_without_losing_an_answer(
    service: Service, fake_vllm: FakeVllm
) -> None:
    """SIGHUP: an answer under way is finished by a worker of before, later ones are of new ones."""
    before = service.workers
    fake_vllm.pace = Pace(token_s=0.1, answer_tokens=60)
    async with (
        AsyncClient(service.grpc, attempts=1) as client,
        client.stream(LEGAL) as events,
    ):
        while not isinstance(await anext(events), Delta):
            pass
        values = yaml.safe_load(service.config.read_text())
        values["server"]["workers"] = 1
        values["log"]["level"] = "warning"
        service.config.write_text(yaml.safe_dump(values))
        service.process.send_signal(signal.SIGHUP)
        await service.logged("workers.reloaded")
        fake_vllm.pace = Pace()
        assert await ask(service)
        assert service.workers & before
        async for event in events:
            last = event
    assert isinstance(last, Final)
    await service.until(lambda: not service.workers & before)
    assert service.workers


async def test_a_client_over_http_loses_no_request(service: Service) -> None:
    """One that asks again and again on kept connections, while all workers are replaced."""
    before, enough = service.workers, anyio.Event()
    statuses: list[int] = []

    async def ask_on() -> None:
        stream = await connect(service.http)
        while not enough.is_set():
            await stream.send(get("/v1/models"))
            with anyio.fail_after(WAIT_S):
                status, headers, _ = await read_response(stream)
            statuses.append(status)
            if headers.get("connection") == "close":
                await stream.aclose()
                stream = await connect(service.http)
        await stream.aclose()

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask_on)
        service.process.send_signal(signal.SIGHUP)
        await service.logged("workers.reloaded")
        await service.until(lambda: not service.workers & before)
        enough.set()
    assert set(statuses) == {200}


async def test_a_configuration_that_is_not_valid_changes_nothing(service: Service) -> None:
    """Neither one that cannot be read nor one that a worker refuses is taken; the log says why."""
    before = service.workers
    values = yaml.safe_load(service.config.read_text())
    for broken, reason in (
        ({**values, "server": {"prt": 1}}, "prt"),
        ({**values, "server": {**values["server"], "port": 1}}, "takes a restart"),
        ({**values, "experts_dir": "/nowhere"}, "ended with exit code 3"),
    ):
        service.log.write_text("")
        service.config.write_text(yaml.safe_dump(broken))
        service.process.send_signal(signal.SIGHUP)
        await service.logged("workers.reload_refused")
        assert reason in service.log.read_text()
    assert service.workers == before
    assert await ask(service)


async def test_workers_end_with_the_one_that_sees_to_them(
    settings: Settings, config_file: Path, tmp_path: Path
) -> None:
    """Where it is killed they do not serve on, on ports that nobody holds."""
    service = Service(config_file, tmp_path / "log")
    workers = service.workers
    service.process.kill()
    service.process.wait()
    await service.until(lambda: not any(map(exists, workers)))


def test_a_first_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The exit code and the words are the worker's own."""
    config = tmp_path / "tame.yaml"
    config.write_text("experts_dir: /nowhere\nserver: {port: 0}\nhttp: {port: 0}\n")
    done = subprocess.run(
        [sys.executable, "-m", "tame_router", "serve", "--workers", "2", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "/nowhere" in done.stderr
    assert "Traceback" not in done.stderr
