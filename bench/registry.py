"""How fast adapters come in and go live, and whether answers notice.

    python bench/registry.py [--json] [--size-mb 670] [--repeats 3] [--moves 10]

The service is a real process before a fake vLLM. An adapter is uploaded over gRPC on loopback,
and `sha256sum` reads the same file before and after; then two small revisions take turns in
being live while clients stream without a pause, and pages are asked for of 10,000 revisions.
Ends with 1 where an answer failed, or was not that of one revision, or where the service took
300 MB of memory or more while it received; `--size-mb 2000` shows that for 2 GB.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from starlette.requests import Request

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.adapter_deeds import Upload
from bench.adapter_pages import list_ms
from bench.adapter_rig import EXPERT, Rig, Service, build, load_average
from bench.adapter_traffic import Traffic
from bench.made_adapter import Size, size_of, write_adapter
from tame_router.backends.vllm.revision_probe import TOKENS
from tame_router.client.adapter_folder import read_folder
from tame_router.client.async_client import AsyncClient
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Pace, Received

SMALL: Final = Size(layers=2, rank=4)
PACE: Final = Pace(first_token_s=0.02, token_s=0.005)
TEXTS: Final = ("one " * 12, "two " * 12)
"""What the two small revisions answer."""
MOST_MB: Final = 300.0
"""Memory that the service may take while it receives, however large the upload is."""

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Figures:
    """What was measured; times in ms, rates in MB (10^6 bytes) a second; medians."""

    upload_mb_s: float = 0.0
    sha256sum_mb_s: float = 0.0
    publish_ms: float = 0.0
    rollback_ms: float = 0.0
    list_10000_ms: float = 0.0
    requests_during_publish: int = 0
    failed_during_publish: int = 0
    mixed_answers: int = 0


@dataclass(slots=True, kw_only=True)
class Beside:
    """What is told beside the figures.

    Attributes:
        upload_mb: Size of the upload.
        uploads_mb_s: Each upload's rate.
        uploads_mb_cpu_s: The same by the processors' time that the service took, all threads
            together: what others do on the machine weighs less there.
        sha256sums_mb_s: Each reading's.
        sha256sums_mb_cpu_s: Likewise.
        idle_mb: Most memory that the service had taken before the first upload.
        peak_mb: Most that it took while it received.
        publish_large_ms: A publication of what was uploaded, the reading of its bytes included.
        publish_whole_ms: Each publication of a small revision, from the call to its answer.
        publish_flip_ms: The same from its last probe on.
        rollbacks_ms: Each rollback.
        loads: Load of the machine at the beginning and the end.
    """

    upload_mb: float = 0.0
    uploads_mb_s: list[float] = field(default_factory=list)
    uploads_mb_cpu_s: list[float] = field(default_factory=list)
    sha256sums_mb_s: list[float] = field(default_factory=list)
    sha256sums_mb_cpu_s: list[float] = field(default_factory=list)
    idle_mb: float = 0.0
    peak_mb: float = 0.0
    publish_large_ms: float = 0.0
    publish_whole_ms: list[float] = field(default_factory=list)
    publish_flip_ms: list[float] = field(default_factory=list)
    rollbacks_ms: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)


class TimedVllm(FakeVllm):
    """An engine that remembers when it was last asked for as little as a probe asks for."""

    probed_s = 0.0

    def record(self, request: Request, body: dict[str, Any]) -> Received:
        """Take note of a request, and of the time of a probe."""
        if body.get("max_tokens") == TOKENS:
            self.probed_s = time.monotonic()
        return super().record(request, body)


class Measurement:
    """One run.

    Args:
        rig: What the service stands on.
        service: The service.
        client: Asks it.
        fake: The engine.
    """

    def __init__(self, rig: Rig, service: Service, client: AsyncClient, fake: TimedVllm) -> None:
        self.figures = Figures()
        self.beside = Beside()
        self._rig = rig
        self._service = service
        self._client = client
        self._fake = fake

    async def uploads(self, size: Size, repeats: int) -> None:
        """Upload adapters, and publish the last."""
        beside, name = self.beside, ""
        for number in range(repeats):
            folder = self._rig.adapters / f"large-{number}"
            await asyncio.to_thread(write_adapter, folder, BASE_MODEL, size, number)
            weights = folder / "adapter_model.safetensors"
            await asyncio.to_thread(self._sha256sum, weights)
            read = await asyncio.to_thread(read_folder, folder)
            beside.upload_mb = read.size_bytes / 1e6
            if not number:
                beside.idle_mb = self._service.peak_mb()
            self._service.reset_peak()
            begun, begun_cpu = time.monotonic(), self._service.cpu_s()
            done = await self._client.adapters.upload(read, EXPERT)
            beside.uploads_mb_s.append(beside.upload_mb / (time.monotonic() - begun))
            beside.uploads_mb_cpu_s.append(beside.upload_mb / (self._service.cpu_s() - begun_cpu))
            beside.peak_mb = max(beside.peak_mb, self._service.peak_mb())
            await asyncio.to_thread(self._sha256sum, weights)
            name = done.name
            await Upload(read).do(self._client)  # known by now: waits until it is judged
            weights.unlink()
        beside.publish_large_ms, _ = await timed_ms(self._client.adapters.publish(name))
        self.figures.upload_mb_s = median(beside.uploads_mb_s)
        self.figures.sha256sum_mb_s = median(beside.sha256sums_mb_s)

    async def moves(self, times: int, clients: int) -> None:
        """Publish and go back, while clients stream."""
        names = [await self._small(number) for number in range(2)]
        traffic = Traffic(self._service.address, dict(zip(names, TEXTS, strict=True)))
        self._fake.texts = traffic.texts
        await self._client.adapters.publish(names[0])
        await self._client.adapters.publish(names[1])  # both are loaded now
        await self._client.adapters.rollback(EXPERT)
        traffic.settled = names[0]
        async with traffic.flowing(clients):
            for _ in range(times):
                await self._one_move(traffic, names)
        self.figures.requests_during_publish = traffic.requests
        self.figures.failed_during_publish = traffic.failed
        self.figures.mixed_answers = traffic.mixed
        for reason, count in traffic.reasons.most_common():
            print(f"{count:>6} × {reason}")
        self.figures.publish_ms = median(self.beside.publish_flip_ms)
        self.figures.rollback_ms = median(self.beside.rollbacks_ms)

    async def pages(self) -> None:
        """Ask for pages of 10,000 revisions."""
        self.figures.list_10000_ms = await list_ms(self._rig, self._service.address)

    def _sha256sum(self, path: Path) -> None:
        """Have `sha256sum` read a file that is in memory already."""
        begun, begun_cpu = time.monotonic(), children_cpu_s()
        subprocess.run(["sha256sum", str(path)], check=True, stdout=subprocess.DEVNULL)  # noqa: S607
        size_mb = path.stat().st_size / 1e6
        self.beside.sha256sums_mb_s.append(size_mb / (time.monotonic() - begun))
        self.beside.sha256sums_mb_cpu_s.append(size_mb / (children_cpu_s() - begun_cpu))

    async def _one_move(self, traffic: Traffic, names: Sequence[str]) -> None:
        beside, adapters = self.beside, self._client.adapters
        await traffic.more()
        with traffic.moving(names[1]):
            whole_ms, _ = await timed_ms(adapters.publish(names[1]))
            beside.publish_flip_ms.append((time.monotonic() - self._fake.probed_s) * 1e3)
            beside.publish_whole_ms.append(whole_ms)
        await traffic.more()
        with traffic.moving(names[0]):
            back_ms, _ = await timed_ms(adapters.rollback(EXPERT))
            beside.rollbacks_ms.append(back_ms)

    async def _small(self, number: int) -> str:
        folder = self._rig.adapters / f"small-{number}"
        await asyncio.to_thread(write_adapter, folder, BASE_MODEL, SMALL, 1_000 + number)
        upload = Upload(await asyncio.to_thread(read_folder, folder))
        await upload.do(self._client)
        return upload.name


async def timed_ms(work: Awaitable[T]) -> tuple[float, T]:
    """Wait for something, and give how long that took, in ms, with what came of it."""
    begun = time.monotonic()
    done = await work
    return (time.monotonic() - begun) * 1e3, done


def children_cpu_s() -> float:
    """Tell how much of the processors' time the commands took that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def run(rig: Rig, fake: TimedVllm, arguments: argparse.Namespace) -> Measurement:
    """Measure everything."""
    service = await asyncio.to_thread(Service, rig)
    with service:
        async with AsyncClient(service.address, attempts=1) as client:
            measurement = Measurement(rig, service, client, fake)
            measurement.beside.loads.append(load_average())
            await measurement.uploads(size_of(arguments.size_mb * 10**6), arguments.repeats)
            fake.pace = PACE
            await measurement.moves(arguments.moves, arguments.clients)
            await measurement.pages()
            measurement.beside.loads.append(load_average())
            return measurement


def measure(arguments: argparse.Namespace) -> Measurement:
    """Set everything up in a folder of its own, and measure."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        fake = stack.enter_context(TimedVllm())
        rig = build(Path(folder), fake, {})
        return asyncio.run(run(rig, fake, arguments))


def read_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; None: that of the process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line")
    parser.add_argument("--size-mb", type=int, default=670, help="of the adapter, 10^6 bytes each")
    parser.add_argument("--repeats", type=int, default=3, help="uploads")
    parser.add_argument("--moves", type=int, default=10, help="publications, and as many back")
    parser.add_argument("--clients", type=int, default=8, help="that stream meanwhile")
    return parser.parse_args(given)


def main() -> None:
    """Run the command line."""
    arguments = read_arguments()
    measurement = measure(arguments)
    figures, beside = measurement.figures, asdict(measurement.beside)
    for name, value in beside.items():
        shown = value if isinstance(value, list) else [value]
        print(f"{name:<24}{' '.join(f'{one:>9.1f}' for one in shown)}")
    print(f"{'upload / sha256sum':<24}{figures.upload_mb_s / figures.sha256sum_mb_s:>9.2f}")
    rounded = {name: round(value, 2) for name, value in asdict(figures).items()}
    for name, value in rounded.items():
        print(f"{name:<24}{value:>9}")
    if arguments.json:
        print(json.dumps(rounded))
    wrong = figures.failed_during_publish or figures.mixed_answers
    sys.exit(bool(wrong or measurement.beside.peak_mb >= MOST_MB))


if __name__ == "__main__":
    main()
