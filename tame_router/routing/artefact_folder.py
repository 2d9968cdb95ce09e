"""The folder a trained router lies in: written so that a crash never leaves half of one."""

from collections.abc import Collection
from pathlib import Path

from tame_router.durable_file import flush_folder, replace_file
from tame_router.errors import ArtefactError
from tame_router.routing.artefact import ADVICE, Artefact, decode, encode

MODEL_FILE = "model.safetensors"
DOCUMENT_FILE = "router.json"


def save_artefact(artefact: Artefact, folder: Path) -> None:
    """Write an artefact; the folder is made where it does not exist.

    Each file is written aside, flushed to disk and renamed. A crash between the two
    renames leaves files that do not belong together, which loading notices.

    Raises:
        ArtefactError: When the folder cannot be written.
    """
    model, document = encode(artefact)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / MODEL_FILE, model)
        replace_file(folder / DOCUMENT_FILE, document)
        flush_folder(folder)
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be written: {error.strerror}") from error


def load_artefact(
    folder: Path, experts: Collection[str], corpus_digest: str | None = None
) -> Artefact:
    """Read an artefact, and check that it fits.

    Args:
        folder: Where it lies.
        experts: The experts it must tell apart, no more and no fewer.
        corpus_digest: Digest of the teaching material it must come from; None: any.

    Raises:
        ArtefactError: When it is absent, damaged, or made for other experts or from other
            teaching material; the message says which and what to do.
    """
    try:
        artefact = decode(_read(folder / MODEL_FILE), _read(folder / DOCUMENT_FILE))
    except ArtefactError as error:
        raise ArtefactError(f"trained router in {folder}: {error.message}") from error
    _check_fit(artefact, folder, frozenset(experts), corpus_digest)
    return artefact


def _check_fit(
    artefact: Artefact, folder: Path, experts: frozenset[str], corpus_digest: str | None
) -> None:
    labels = frozenset(artefact.parameters.labels)
    if labels != experts:
        faults = []
        if experts - labels:
            faults.append(f"does not know {', '.join(sorted(experts - labels))}")
        if labels - experts:
            faults.append(f"knows {', '.join(sorted(labels - experts))}, which are no experts")
        raise ArtefactError(f"trained router in {folder} {' and '.join(faults)}; {ADVICE}")
    if corpus_digest not in (None, artefact.corpus_digest):
        raise ArtefactError(
            f"trained router in {folder} comes from other teaching material"
            f" ({artefact.corpus_digest[:16]}…) than the experts now have"
            f" ({str(corpus_digest)[:16]}…); {ADVICE}"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        what = path.name if path.parent.is_dir() else "the folder"
        raise ArtefactError(f"{what} does not exist; {ADVICE}") from None
    except OSError as error:
        raise ArtefactError(f"{path.name} cannot be read: {error.strerror}; {ADVICE}") from error
