"""How fast an upload is validated, and in how much memory.

    python bench/validation.py [--json] [--gigabytes 2]

An adapter of an 80-layer base model, made up piece by piece, streams through `Validation`;
its SHA-256 is measured beside it, since an upload needs that too. Seconds of wall and of CPU
are both told: on a machine with other work they differ.
"""

import argparse
import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Run by path, Python puts this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tame_router.registry.manifest import FileEntry
from tame_router.registry.validation.base_model import BaseModelShape, ModuleShape
from tame_router.registry.validation.file_rules import CONFIG, WEIGHTS
from tame_router.registry.validation.rules import Rules
from tame_router.registry.validation.safetensors_header import DTYPE_BYTES
from tame_router.registry.validation.validation import Validation

MIB = 2**20
LAYERS = 80
SHAPES = {"q_proj": (8192, 8192), "gate_proj": (8192, 28672), "down_proj": (28672, 8192)}


def main() -> int:
    """Measure each kind of number, and print a line for each."""
    parser = argparse.ArgumentParser(description="Measure the validation of uploads.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gigabytes", type=float, default=2)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"sha256_gb_s": round(_measure_sha256(), 2)}
    for dtype in DTYPE_BYTES:
        wall, cpu = _measure(dtype, int(arguments.gigabytes * 1e9))
        figures[f"{dtype.lower()}_gb_s"] = round(wall, 2)
        figures[f"{dtype.lower()}_gb_cpu_s"] = round(cpu, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["peak_rss_mib"] = round(peak)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:18} {value}")
    return 0


def _measure(dtype: str, size_bytes: int) -> tuple[float, float]:
    """Give gigabytes a second of wall, and of CPU."""
    modules = {
        f"model.layers.{layer}.{name}": ModuleShape(inputs=inputs, outputs=outputs)
        for layer in range(LAYERS)
        for name, (inputs, outputs) in SHAPES.items()
    }
    sides = sum(module.inputs + module.outputs for module in modules.values())
    rank = max(size_bytes // (sides * DTYPE_BYTES[dtype]), 1)
    head, data_bytes = _head(modules, dtype, rank)
    config = json.dumps(
        {
            "peft_type": "LORA",
            "base_model_name_or_path": "bench",
            "r": rank,
            "lora_alpha": rank,
            "target_modules": list(SHAPES),
        }
    ).encode()
    size = len(head) + data_bytes
    rules = Rules(max_file_bytes=size, max_upload_bytes=2 * size, max_rank=rank)
    validation = Validation(rules, BaseModelShape(name="bench", modules=modules))
    files = [
        FileEntry(path=CONFIG, size_bytes=len(config), sha256="0" * 64),
        FileEntry(path=WEIGHTS, size_bytes=size, sha256="0" * 64),
    ]
    findings = validation.announced("bench", files)
    findings += validation.feed(CONFIG, config)
    piece = _piece(dtype)

    def stream() -> None:
        left = data_bytes
        findings.extend(validation.feed(WEIGHTS, head))
        while left:
            findings.extend(validation.feed(WEIGHTS, piece[:left]))
            left -= min(left, len(piece))
        findings.extend(validation.finished())

    wall, cpu = _timed(stream)
    if any(finding.fatal for finding in findings):
        raise RuntimeError(f"the adapter of this benchmark is refused: {findings[:3]}")
    return size / wall / 1e9, size / cpu / 1e9


def _head(modules: dict[str, ModuleShape], dtype: str, rank: int) -> tuple[bytes, int]:
    """Give the header with its length before it, and the number of bytes behind it."""
    document: dict[str, Any] = {}
    at = 0
    for name, module in modules.items():
        for part, shape in (("A", [rank, module.inputs]), ("B", [module.outputs, rank])):
            end = at + shape[0] * shape[1] * DTYPE_BYTES[dtype]
            key = f"base_model.model.{name}.lora_{part}.weight"
            document[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
            at = end
    header = json.dumps(document).encode()
    return len(header).to_bytes(8, "little") + header, at


def _piece(dtype: str) -> bytes:
    """Give 1 MiB of numbers as trained adapters have them."""
    numbers = np.random.default_rng(0).normal(0, 0.01, MIB // DTYPE_BYTES[dtype])
    single = numbers.astype(np.float32)
    if dtype == "BF16":
        return (single.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return (single.astype(np.float16) if dtype == "F16" else single).tobytes()


def _measure_sha256() -> float:
    piece = _piece("F32")
    digest = hashlib.sha256()

    def stream() -> None:
        for _ in range(256):
            digest.update(piece)

    wall, _ = _timed(stream)
    return 256 * MIB / wall / 1e9


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Give seconds of wall and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    sys.exit(main())
