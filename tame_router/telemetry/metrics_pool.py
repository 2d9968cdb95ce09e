"""The metrics of several routers on one port, shown as one: whoever is asked adds them up.

Each writes its own into a file every second, so that a router is read without being asked.
What a router has counted stays counted when it has ended: a sum that falls would be a restart
to whoever reads it. Gauges, and what is known of its process, go with it.
"""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tame_router.durable_file import locked
from tame_router.telemetry import log
from tame_router.telemetry.instrument import INSTRUMENTS
from tame_router.telemetry.instrument_kind import Kind
from tame_router.telemetry.metric import Metrics, Series

INTERVAL_S: Final = 1.0
"""Age of the others' figures, at most."""

_ENDED: Final = "ended.msgpack"
_BY_NAME: Final = {instrument.name: instrument for instrument in INSTRUMENTS}
_LEAST: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Of these the least is shown; all others are added up."""


class _Numbers(msgspec.Struct, frozen=True, gc=False):
    """What one router has counted."""

    series: dict[str, list[Series]]
    process: dict[str, float] = {}


class MetricsPool:
    """Writes a router's metrics for the others, and shows theirs with them.

    Args:
        metrics: This router's.
        folder: Shared by all of the port.
        interval_s: Time between two writings, > 0.
    """

    def __init__(self, metrics: Metrics, folder: Path, interval_s: float = INTERVAL_S) -> None:
        self._metrics = metrics
        self._folder = folder
        self._file = file_of(folder, os.getpid())
        self._interval_s = interval_s
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._lost = False
        self._write()
        self._thread = threading.Thread(target=self._keep_writing, name="metrics-pool", daemon=True)
        self._thread.start()

    def render(self, accept: str) -> tuple[bytes, str]:
        """Write the metrics of all as text; blocks for a few milliseconds. See `Metrics.render`.

        What is shown is written first: it must not be less when this router ends after it.
        """
        own = self._write()
        everybody = [own]
        with suppress(OSError), locked(self._folder):
            others = [path for path in self._folder.glob("*.msgpack") if path != self._file]
            everybody += [_read(path) for path in others]
        summed = Metrics(_Processes([each.process for each in everybody]))
        for each in everybody:
            _put(summed, each)
        return summed.render(accept)

    def close(self) -> None:
        """Write once more, and stop."""
        self._closing.set()
        self._thread.join()
        self._write()

    def _keep_writing(self) -> None:
        while not self._closing.wait(self._interval_s):
            self._write()

    def _write(self) -> _Numbers:
        """Write what this router has, and give it; a full disk is told of once, and tried again."""
        with self._writing:
            series = {instrument.name: found for instrument, found in self._metrics.read()}
            numbers = _Numbers(series, dict(_process()))
            try:
                _replace(self._file, numbers)
            except OSError as error:
                if not self._lost:
                    log.event(logging.WARNING, "metrics.unwritten", because=str(error))
                self._lost = True
            else:
                self._lost = False
        return numbers


def file_of(folder: Path, pid: int) -> Path:
    """Give the file that a process writes."""
    return folder / f"{pid}.msgpack"


def keep_counted(folder: Path, pid: int) -> None:
    """Add what a process has counted that has ended to what all such have; blocks.

    Args:
        folder: Of the pool.
        pid: The process; one that has written nothing changes nothing.
    """
    with locked(folder):
        path = file_of(folder, pid)
        if not path.exists():
            return
        summed = Metrics()
        ended = folder / _ENDED
        for each in (ended, path):
            if each.exists():
                _put(summed, _read(each))
        everything = {instrument.name: found for instrument, found in summed.read()}
        _replace(ended, _Numbers(_counted(everything)))
        path.unlink()


class _Processes(Collector):
    """What is known of several processes, as prometheus_client's encoders take it."""

    def __init__(self, processes: list[dict[str, float]]) -> None:
        self._processes = [process for process in processes if process]

    def collect(self) -> Iterable[Metric]:
        """Give the sums."""
        for family in ProcessCollector(registry=None).collect():
            for number, sample in enumerate(family.samples):
                values = [process.get(sample.name, 0.0) for process in self._processes]
                value = min(values) if sample.name in _LEAST else sum(values)
                family.samples[number] = sample._replace(value=value)
            yield family


def _process() -> Iterator[tuple[str, float]]:
    for family in ProcessCollector(registry=None).collect():
        for sample in family.samples:
            yield sample.name, sample.value


def _put(metrics: Metrics, numbers: _Numbers) -> None:
    for name, series in numbers.series.items():
        # During an upgrade one of another version may know others, or other labels and bounds.
        if instrument := _BY_NAME.get(name):
            for one in series:
                with suppress(KeyError, ValueError):
                    metrics.put(instrument, one)


def _read(path: Path) -> _Numbers:
    """Read what a router has counted; and what it has now, where it is still there.

    One that was killed while it started has nobody who keeps what it counted.
    """
    numbers = msgspec.msgpack.decode(path.read_bytes(), type=_Numbers)
    if path.name == _ENDED or Path(f"/proc/{path.stem}").exists():
        return numbers
    return _Numbers(_counted(numbers.series))


def _counted(series: Mapping[str, list[Series]]) -> dict[str, list[Series]]:
    """Give the counters and histograms."""
    known = ((name, _BY_NAME.get(name)) for name in series)
    kept = [name for name, found in known if found and found.kind is not Kind.GAUGE]
    return {name: series[name] for name in kept}


def _replace(path: Path, numbers: _Numbers) -> None:
    """Write a file that readers find whole; what a power cut loses is no loss here."""
    aside = path.with_suffix(".aside")
    aside.write_bytes(msgspec.msgpack.encode(numbers))
    aside.replace(path)
