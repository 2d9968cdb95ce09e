"""What benchmarks of the registry stand on: the service as a process, before a fake vLLM.

The engine lives in the benchmark's process, so that it outlives the service when that is
killed.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from bench.made_adapter import write_base
from deploy.local.router_process import read_addresses, start
from tame_router import app
from tame_router.audit.verification import Verification
from tame_router.config import Settings
from tame_router.local_engine import store_url
from tame_router.registry.records.label_history import LabelHistory
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import State
from tame_router.store import Database
from tame_router.trained_router import plan_lesson, train_router
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.small_experts import QUESTIONS, write_experts

EXPERT: Final = "legal"
"""Whose label moves."""

QUESTION: Final = QUESTIONS[EXPERT][0]
CASES: Final = 12
"""Of its evaluation set; the gate asks for ten at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A folder with all that a service needs.

    Attributes:
        root: The folder.
        settings: What the service is told.
        config: The file that says so.
        fake: The engine.
    """

    root: Path
    settings: Settings
    config: Path
    fake: FakeVllm

    @property
    def adapters(self) -> Path:
        """Folder for adapters that are still to be uploaded."""
        return self.root / "made"

    @property
    def store(self) -> Path:
        """Folder of the bytes that the registry keeps."""
        return Path(store_url(self.settings))

    @contextlib.contextmanager
    def records(self) -> Iterator[RecordStore]:
        """Open the records beside the service."""
        database = Database(self.settings.store, self.settings.state_dir)
        try:
            yield RecordStore(database)
        finally:
            database.close()

    def evaluations(self, name: str) -> int:
        """Count how often an evaluation of a revision was begun."""
        with self.records() as records:
            changes = records.changes(0, revision=name)
        return sum(change.state is State.EVALUATING for change in changes)

    def history_faults(self) -> list[str]:
        """Prove the history of labels, and say what is wrong with it."""
        database = Database(self.settings.store, self.settings.state_dir)
        verification, history = Verification(), LabelHistory(database)
        try:
            for line in history.lines():
                verification.take(line)
            return [fault.message for fault in (*verification.finish(), *history.compare())]
        finally:
            database.close()

    def open_jobs(self) -> list[str]:
        """Name the jobs that are not over."""
        with self.records() as records:
            return [job.job_id for job in records.open_jobs()]


def build(root: Path, fake: FakeVllm, registry: Mapping[str, Any]) -> Rig:
    """Write experts and settings, and train the router.

    Args:
        root: An empty folder.
        fake: The engine; it is told which adapters it has.
        registry: Settings of the registry beside those that are always the same.
    """
    experts = write_experts(root)
    cases = [
        {
            "kind": "text",
            "id": f"{EXPERT}-{number}",
            "lang": "en",
            "question": f"{QUESTIONS[EXPERT][1]} ({number})",
            "reference": "It depends.",
        }
        for number in range(CASES)
    ]
    written = "".join(f"{json.dumps(case)}\n" for case in cases)
    (experts / EXPERT / "evaluation.jsonl").write_text(written, encoding="utf-8")
    document = {
        "state_dir": str(root / "state"),
        "experts_dir": str(experts),
        "server": {"port": 0, "insecure": True},
        "http": {"enabled": False},
        "log": {"level": "warning", "format": "console"},
        "routing": {"encoder": {"enabled": False}},
        "backends": {"local": {"base_model": BASE_MODEL, "base_url": fake.base_url}},
        "registry": {
            "base_model_dir": str(write_base(root / BASE_MODEL)),
            "max_rank": 1024,
            "refresh_s": 0.1,
            **registry,
        },
    }
    settings = Settings.model_validate(document)
    catalog = app.build_catalog(settings)
    train_router(plan_lesson(settings, catalog), lambda _: None)
    fake.adapters = tuple(filter(None, (catalog.expert(n).live_revision for n in catalog.names)))
    fake.resolver.active = True
    config = root / "tame.yaml"
    config.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return Rig(root=root, settings=settings, config=config, fake=fake)


class Service:
    """The service of a rig as a process; a context manager that ends it.

    Args:
        rig: The rig.

    Attributes:
        rig: The rig.
        address: Where its gRPC listens.
        pid: Its process.

    Raises:
        RuntimeError: When it does not start; the message holds the end of its log.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._log: IO[str] = (rig.root / "service.log").open("a", encoding="utf-8")
        self._process: subprocess.Popen[str] = start({"TAME_CONFIG": str(rig.config)}, self._log)
        self.pid = self._process.pid
        log = Path(self._log.name)
        try:
            self.address = read_addresses(self._process, log, http_enabled=False).grpc
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, wherever it stands; it gets to do nothing any more."""
        self._process.kill()
        self._gone()

    def __enter__(self) -> "Service":
        """Give the service itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Have it end in order."""
        if self._process.poll() is None:
            self._process.terminate()
        self._gone()

    def reset_peak(self) -> None:
        """Forget how much memory it has taken at most; nothing, where the system cannot."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_mb(self) -> float:
        """Tell how much memory it has taken at most, in MB; since `reset_peak` where that is so."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6

    def cpu_s(self) -> float:
        """Tell how much of the processors' time it has taken, all threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _gone(self) -> None:
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()


def load_average() -> float:
    """Tell how many processes wanted the processors in the last minute."""
    return os.getloadavg()[0]
