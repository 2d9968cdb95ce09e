"""One upload's check: what came is measured as it comes, and all of it held together."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.adapter_config import AdapterConfig, read_adapter_config
from tame_router.registry.validation.adapter_tensors import check_tensors, check_updates
from tame_router.registry.validation.base_model import BaseModelShape
from tame_router.registry.validation.file_rules import (
    CONFIG,
    EXPERT,
    MOST_BYTES,
    TRAINING,
    WEIGHTS,
    check_files,
    shown,
)
from tame_router.registry.validation.rules import Rules
from tame_router.registry.validation.safetensors_stream import SafetensorsStream
from tame_router.registry.validation.text_rules import TEXTS, check_text
from tame_router.registry.validation.training_facts import told_digest


@dataclass(slots=True)
class _Coming:
    """A file that is coming in."""

    size_bytes: int
    received_bytes: int = 0
    kept: bytearray = field(default_factory=bytearray)


class Validation:
    """Checks one upload; a `Checker`. Not for several threads at once.

    Texts are kept until they are whole, at most the sum of `MOST_BYTES`; weights never are.

    Args:
        rules: What an upload must keep.
        base: The base model; None: not known, and shapes are held to the rank alone.
        base_model_digest: Digest of the base model that the upload says it was trained on;
            empty: not said.
        new_expert: The expert is not there yet, and the upload makes it.
    """

    def __init__(
        self,
        rules: Rules,
        base: BaseModelShape | None,
        *,
        base_model_digest: str = "",
        new_expert: bool = False,
    ) -> None:
        self._rules = rules
        self._base = base
        self._digest = base_model_digest
        self._new_expert = new_expert
        self._expert = ""
        self._files: dict[str, _Coming] = {}
        self._weights: SafetensorsStream | None = None
        self._config: AdapterConfig | None = None
        self._compared = False
        self._refused = False

    def announced(self, expert: str, files: Sequence[FileEntry]) -> list[Finding]:
        """Check paths, kinds and sizes."""
        self._expert = expert
        findings = check_files(files, self._rules, new_expert=self._new_expert)
        self._files = {file.path: _Coming(file.size_bytes) for file in files}
        if WEIGHTS in self._files:
            self._weights = SafetensorsStream(self._files[WEIGHTS].size_bytes)
        findings += self._check_digest(self._digest, WEIGHTS)
        if (
            self._rules.require_base_model_digest
            and not self._digest
            and (TRAINING not in self._files)
        ):
            findings.append(_unsaid())
        return self._noted(findings)

    def feed(self, path: str, data: bytes | memoryview) -> list[Finding]:
        """Take the next bytes of a file."""
        coming = self._files.get(path)
        if coming is None:
            message = f"{shown(path)} was not announced"
            return self._noted([found(Reason.FILE_UNEXPECTED, message, path[:255])])
        coming.received_bytes += len(data)
        if coming.received_bytes > coming.size_bytes:
            message = f"{path} has more than the {coming.size_bytes:,} bytes announced"
            return self._noted([found(Reason.SIZE_MISMATCH, message, path)])
        findings: list[Finding] = []
        if path == WEIGHTS and self._weights:
            findings = self._weights.feed(memoryview(data))
        elif path in MOST_BYTES and coming.size_bytes <= MOST_BYTES[path]:
            coming.kept += data
            if coming.received_bytes == coming.size_bytes:
                findings = self._read(path, bytes(coming.kept))
                coming.kept.clear()
        return self._noted([*findings, *self._compare()])

    def finished(self) -> list[Finding]:
        """Check that all has come, and what the adapter does as a whole."""
        findings = [
            found(
                Reason.SIZE_MISMATCH,
                f"{path} has {coming.received_bytes:,} bytes of {coming.size_bytes:,} announced",
                path,
            )
            for path, coming in self._files.items()
            if coming.received_bytes < coming.size_bytes
        ]
        weights, config = self._weights, self._config
        if not findings and not self._refused and weights and weights.entries and config:
            findings = check_updates(weights.entries, weights.squares, config)
        return self._noted(findings)

    def _noted(self, findings: list[Finding]) -> list[Finding]:
        self._refused |= any(finding.fatal for finding in findings)
        return findings

    def _read(self, path: str, data: bytes) -> list[Finding]:
        """Check a small file that has come whole."""
        if path == CONFIG:
            read = read_adapter_config(data, self._rules, self._base_models())
            self._config = read.config
            return list(read.findings)
        if path == TRAINING:
            return self._read_training(data)
        if path in TEXTS and (path != EXPERT or self._new_expert):
            return check_text(path, data, self._expert, self._rules.backends)
        return []

    def _read_training(self, data: bytes) -> list[Finding]:
        told, findings = told_digest(data)
        if not told and not self._digest and self._rules.require_base_model_digest:
            findings.append(_unsaid())
        return [*findings, *self._check_digest(told, TRAINING)]

    def _check_digest(self, told: str, path: str) -> list[Finding]:
        known = self._base.digests if self._base else frozenset()
        if not told or not known or told in known:
            return []
        message = (
            f"trained on the base model with the digest {shown(told[:16])}…; served is"
            f" {' or '.join(f'{digest[:16]}…' for digest in sorted(known))}"
        )
        return [found(Reason.BASE_MODEL_DIGEST, message, path)]

    def _base_models(self) -> frozenset[str]:
        names = self._rules.base_models
        return names | {self._base.name} if self._base else names

    def _compare(self) -> list[Finding]:
        """Hold the weights to the configuration as soon as both are known."""
        if self._compared or self._config is None or not self._weights:
            return []
        if self._weights.entries is None:
            return []
        self._compared = True
        return check_tensors(self._weights.entries, self._config, self._base)


def _unsaid() -> Finding:
    message = "the upload does not say the digest of its base model"
    return found(Reason.BASE_MODEL_DIGEST, message)
