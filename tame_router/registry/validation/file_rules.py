"""Which files an upload may hold, judged by paths and sizes alone. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import Reason
from tame_router.registry.validation.rules import Rules

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
CARD: Final = "README.md"
EVALUATION: Final = "evaluation.jsonl"
TRAINING: Final = "training.json"
SIGNATURE: Final = "model.sig"
EXPERT: Final = "expert.yaml"
PROMPT: Final = "prompt.md"
UTTERANCES: Final = ("utterances.zh-TW.txt", "utterances.en.txt")
JOINT: Final = ("joint.zh-TW.txt", "joint.en.txt")

NEW_EXPERT: Final = frozenset({EXPERT, PROMPT, *UTTERANCES, *JOINT})
"""Files that make an expert, and have no effect where it is there already."""

MOST_BYTES: Final = {
    CONFIG: 256 * 2**10,
    CARD: 2**20,
    EVALUATION: 8 * 2**20,
    TRAINING: 2**20,
    SIGNATURE: 2**20,
    EXPERT: 32 * 2**10,
    PROMPT: 256 * 2**10,
    **dict.fromkeys((*UTTERANCES, *JOINT), 2 * 2**20),
}
"""Sizes of texts: they are read whole, so these bound the memory of an upload."""

MOST_LINES: Final = 10_000
"""Cases of an evaluation set, or teaching lines of a file: each wrong one would be told."""

FILES: Final = frozenset({WEIGHTS, *MOST_BYTES})
"""All that an upload may hold."""

MOST_FILES: Final = 64
"""More are not even looked at one by one."""

LONGEST_PATH = 255
"""Characters; no file of an adapter has a path so long."""

_SHOWN = 120
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]*(/[A-Za-z0-9_][A-Za-z0-9_.+ -]*)*")
_PICKLES = re.compile(
    r"\.(bin|pt|pth|pkl|pickle|p|ckpt|joblib|dill|cloudpickle|npy|npz|sav|mar|model)$", re.I
)
_ARCHIVES = re.compile(
    r"\.(zip|tar|tgz|gz|bz2|xz|zst|7z|rar|lz4|lzma|tbz2?|txz|whl|jar|iso|cab)$", re.I
)


def check_count(count: int) -> Finding | None:
    """Judge how many files are announced."""
    if count <= MOST_FILES:
        return None
    message = f"{count:,} files are announced; an adapter has at most {MOST_FILES}"
    return found(Reason.TOO_MANY_FILES, message)


def check_path_length(path: str) -> Finding | None:
    """Judge how long a path is, whatever it holds."""
    if len(path) <= LONGEST_PATH:
        return None
    begin = path[:LONGEST_PATH]
    message = f"the path {shown(begin)} of {len(path):,} characters is not taken"
    return found(Reason.PATH_UNSAFE, message, begin)


def check_files(files: Sequence[FileEntry], rules: Rules, *, new_expert: bool) -> list[Finding]:
    """Judge what is announced.

    Args:
        files: All files, in any order.
        rules: The limits.
        new_expert: The upload makes an expert; otherwise it is there already.
    """
    if too_many := check_count(len(files)):
        return [too_many]
    findings = [finding for file in files for finding in _check_file(file, rules, new_expert)]
    findings += _twice(files)
    findings += _missing({file.path for file in files}, new_expert)
    total = sum(file.size_bytes for file in files)
    if total > rules.max_upload_bytes:
        message = f"{total:,} bytes in all; an upload has at most {rules.max_upload_bytes:,}"
        findings.append(found(Reason.UPLOAD_TOO_LARGE, message))
    return findings


def shown(text: str) -> str:
    """Quote foreign text so that no message grows long or holds control characters."""
    quoted = ascii(text) if not text.isprintable() else repr(text)
    return quoted if len(quoted) <= _SHOWN else f"{quoted[:_SHOWN]}…"


def _check_file(file: FileEntry, rules: Rules, new_expert: bool) -> Iterator[Finding]:
    refusal = _refuse_path(file.path)
    if refusal:
        yield refusal
        return
    path = file.path
    most = MOST_BYTES.get(path, rules.max_file_bytes)
    if file.size_bytes <= 0:
        yield found(Reason.FILE_EMPTY, f"{path} has no bytes", path)
    elif file.size_bytes > most:
        message = f"{path} has {file.size_bytes:,} bytes; at most {most:,} are taken"
        yield found(Reason.FILE_TOO_LARGE, message, path)
    if path in NEW_EXPERT and not new_expert:
        message = f"{path} is kept and has no effect: the expert is there already"
        yield found(Reason.FILE_UNEXPECTED, message, path, fatal=False)


def _refuse_path(path: str) -> Finding | None:
    if path in FILES:
        return None
    if too_long := check_path_length(path):
        return too_long
    if unsafe(path):
        return found(Reason.PATH_UNSAFE, f"the path {shown(path)} is not taken", path)
    if _PICKLES.search(path):
        return found(Reason.PICKLE_REFUSED, f"{shown(path)} is a pickle by its name", path)
    if _ARCHIVES.search(path):
        return found(Reason.ARCHIVE_REFUSED, f"{shown(path)} is an archive by its name", path)
    known = ", ".join(sorted(FILES))
    message = f"{shown(path)} is no file of an adapter; those are: {known}"
    return found(Reason.FILE_UNEXPECTED, message, path)


def unsafe(path: str) -> bool:
    """Tell whether a path could leave its folder or mean two things."""
    return (
        len(path) > LONGEST_PATH
        or _PLAIN.fullmatch(path) is None
        or any(part in (".", "..") or part[-1] in " ." for part in path.split("/"))
    )


def _twice(files: Sequence[FileEntry]) -> list[Finding]:
    seen: set[str] = set()
    findings = []
    for file in files:
        # Folders on other systems keep no two names that differ in case alone.
        folded = file.path.casefold()
        if folded in seen:
            message = f"{shown(file.path)} is announced twice"
            findings.append(found(Reason.PATH_TWICE, message, file.path[:LONGEST_PATH]))
        seen.add(folded)
    return findings


def _missing(paths: set[str], new_expert: bool) -> list[Finding]:
    needed = [CONFIG, WEIGHTS]
    if new_expert:
        needed += [EXPERT, PROMPT, EVALUATION]
    findings = [
        found(Reason.FILE_MISSING, f"{path} is not among the files", path)
        for path in needed
        if path not in paths
    ]
    if new_expert and not paths.intersection(UTTERANCES):
        message = f"a new expert needs teaching lines: {' or '.join(UTTERANCES)}"
        findings.append(found(Reason.FILE_MISSING, message, UTTERANCES[0]))
    if CARD not in paths:
        findings.append(found(Reason.CARD_MISSING, f"there is no {CARD}", CARD, fatal=False))
    return findings
