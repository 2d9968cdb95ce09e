"""The folder a trained router lies in: written so that a crash never leaves half of one."""

from collections.abc import Collection
from pathlib import Path

from tame_router.durable_file import flush_folder, replace_file
from tame_router.errors import ArtefactError
from tame_router.routing.artefact import Artefact, decode, encode
from tame_router.routing.artefact_document import ADVICE, Hyperparameters

MODEL_FILE = "model.safetensors"
DOCUMENT_FILE = "router.json"


def save_artefact(artefact: Artefact, folder: Path) -> None:
    """Write an artefact; the folder is made where it does not exist.

    Each file is written aside, flushed to disk and renamed. A crash between the two
    renames leaves files that do not belong together, which loading notices.

    Raises:
        ArtefactError: When the folder cannot be written, or the artefact holds what is no
            product of training.
    """
    model, document = encode(artefact)
    decode(model, document)  # nothing is put in place that could not be loaded
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / MODEL_FILE, model)
        replace_file(folder / DOCUMENT_FILE, document)
        flush_folder(folder)
    except OSError as error:
        raise ArtefactError(f"{folder} cannot be written: {error.strerror}") from error


def load_artefact(
    folder: Path,
    experts: Collection[str],
    *,
    corpus_digest: str | None = None,
    encoder_digest: str | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> Artefact:
    """Read an artefact, and check that it fits.

    Args:
        folder: Where it lies.
        experts: The experts it must tell apart, no more and no fewer.
        corpus_digest: Digest of the teaching material it must come from; None: any.
        encoder_digest: Digest of the encoder it must be trained with, empty for none;
            None: any.
        hyperparameters: What its training must have been told; None: anything.

    Raises:
        ArtefactError: When it is absent, damaged, or made for other experts, with another
            encoder or from other teaching material; the message says which and what to do.
    """
    try:
        artefact = decode(_read(folder / MODEL_FILE), _read(folder / DOCUMENT_FILE))
    except ArtefactError as error:
        raise ArtefactError(f"trained router in {folder}: {error.message}") from error
    _check_labels(artefact, folder, frozenset(experts))
    _check_encoder(artefact, folder, encoder_digest)
    _check_corpus(artefact, folder, corpus_digest)
    if hyperparameters not in (None, artefact.hyperparameters):
        raise ArtefactError(
            f"trained router in {folder} was trained with other hyperparameters than this"
            f" release's; {ADVICE}"
        )
    return artefact


def _check_labels(artefact: Artefact, folder: Path, experts: frozenset[str]) -> None:
    labels = frozenset(artefact.parameters.labels)
    if labels != experts:
        faults = []
        if experts - labels:
            faults.append(f"does not know {', '.join(sorted(experts - labels))}")
        if labels - experts:
            faults.append(f"knows {', '.join(sorted(labels - experts))}, which are no experts")
        raise ArtefactError(f"trained router in {folder} {' and '.join(faults)}; {ADVICE}")


def _check_encoder(artefact: Artefact, folder: Path, encoder_digest: str | None) -> None:
    trained_with = artefact.dense.encoder_digest if artefact.dense else ""
    if encoder_digest not in (None, trained_with):
        raise ArtefactError(
            f"trained router in {folder} was trained with {_named(trained_with)}, and now there"
            f" is {_named(str(encoder_digest))}; {ADVICE}"
        )


def _named(encoder_digest: str) -> str:
    return f"the encoder {encoder_digest[:16]}…" if encoder_digest else "no encoder"


def _check_corpus(artefact: Artefact, folder: Path, corpus_digest: str | None) -> None:
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
