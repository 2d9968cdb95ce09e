"""The folders of experts that uploads have made: written whole or not at all."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from tame_router.durable_file import flush_folder, locked, replace_file
from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.domain.domain import FILES
from tame_router.registry.manifest import REVISION_NAME
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.registry.storage.storage_error import storage_error
from tame_router.registry.validation.file_rules import EXPERT

SOURCE: Final = ".revision"
"""Names, in an expert's folder, the revision that it was written from."""

_ASIDE: Final = ".new-"


def open_place(experts: Path) -> None:
    """See that folders of experts can be written below a folder, which is made.

    Raises:
        StorageFullError: When there is no room.
        StorageUnavailableError: When it cannot be written.
    """
    try:
        experts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=experts):
            pass
    except OSError as error:
        raise storage_error(error) from error


def place_expert(store: RevisionStore, revision: str, experts: Path) -> Path:
    """Write the folder of a revision's expert below another, and give it.

    What was written from the same revision stays; what was written from another one, of a
    database that is gone for instance, is replaced. Processes may share the place.

    Raises:
        RevisionNotFoundError: When the revision is not in the store.
        RevisionRefusedError: When it describes no expert.
        CorruptRevisionError: When its files are not what was uploaded.
        StorageFullError: When there is no room for the folder.
        StorageUnavailableError: When it cannot be written.
    """
    open_place(experts)
    try:
        with locked(experts):
            return _place(store, revision, experts)
    except OSError as error:
        raise storage_error(error) from error


def write_expert(store: RevisionStore, revision: str, below: Path) -> Path:
    """Write the files of a revision that make its expert into a new folder, and give that.

    Args:
        store: Where its bytes are.
        revision: Its name.
        below: Where the folder, which has the expert's name, is made.

    Raises:
        RevisionNotFoundError: When the revision is not in the store.
        RevisionRefusedError: When it describes no expert.
        CorruptRevisionError: When its files are not what was uploaded.
        OSError: When the folder cannot be written.
    """
    matched = REVISION_NAME.fullmatch(revision)
    data = {path: store.read(revision, path, most) for path, most in FILES.items()}
    if matched is None or data[EXPERT] is None:
        raise RevisionRefusedError(
            f"{revision[:80]} brings no {EXPERT}, so it makes no expert",
            metadata={"revision": revision[:80]},
        )
    folder = below / matched["expert"]
    folder.mkdir()
    for path, content in data.items():
        if content is not None:
            replace_file(folder / path, content)
    replace_file(folder / SOURCE, revision.encode())
    flush_folder(folder)
    return folder


def _place(store: RevisionStore, revision: str, experts: Path) -> Path:
    for left in experts.glob(f"{_ASIDE}*"):
        shutil.rmtree(left)
    aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=experts))
    try:
        written = write_expert(store, revision, aside)
        folder = experts / written.name
        if _source(folder) == revision:
            return folder
        if folder.exists():
            folder.rename(aside / "replaced")
        written.rename(folder)
        flush_folder(experts)
        return folder
    finally:
        shutil.rmtree(aside)


def _source(folder: Path) -> str:
    try:
        return (folder / SOURCE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
