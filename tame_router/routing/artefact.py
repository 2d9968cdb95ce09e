"""The trained router as two files' bytes: plain arrays and JSON, never pickle.

`model.safetensors` holds the arrays, `router.json` everything else with the digest of
the first, so that two files which do not belong together are noticed. The artefact's own
digest leaves the time of training out: equal teaching material gives an equal digest.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tame_router.errors import ArtefactError
from tame_router.routing.calibration import ANY_LANGUAGE
from tame_router.routing.features import RECIPE
from tame_router.routing.lexical import FloatArray, LexicalParameters

FORMAT = 1
"""Counted up whenever an older router could not read the files."""

LARGEST_VALUE = 1e6
"""Weights beyond it are no product of training; sums of them would overflow."""

ADVICE = "run `tame router train`"


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What training was told.

    Attributes:
        strength: Inverse of regularisation, > 0.
        least_lines: Lines in which a feature must stand to be learnt, ≥ 1.
        folds: Parts of the lines that are held out in turn, ≥ 2.
        block_lines: Neighbouring lines that are held out together, ≥ 1.
    """

    strength: float = 30.0
    least_lines: int = 2
    folds: int = 5
    block_lines: int = 10


class Measures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the held-out lines said of the model.

    Attributes:
        lines: Teaching lines in all.
        accuracy: Share of held-out lines whose most probable expert is theirs, by language
            and for `calibration.ANY_LANGUAGE`.
        calibration_error: Expected calibration error over all languages, in [0, 1].
    """

    lines: int
    accuracy: dict[str, float]
    calibration_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A trained router.

    Attributes:
        parameters: What the classifier needs.
        hyperparameters: What training was told.
        measures: What held-out lines said.
        corpus_digest: Digest of the teaching material.
        created: When it was trained.
    """

    parameters: LexicalParameters
    hyperparameters: Hyperparameters
    measures: Measures
    corpus_digest: str
    created: datetime

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of both files, the time of training left out."""
        model, document = encode(self, created=datetime.fromtimestamp(0, UTC))
        both = hashlib.sha256(model).digest() + hashlib.sha256(document).digest()
        return hashlib.sha256(both).hexdigest()


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`router.json`."""

    format: int
    created: datetime
    recipe: str
    labels: tuple[str, ...]
    corpus_digest: str
    model_digest: str
    hyperparameters: Hyperparameters
    measures: Measures
    temperatures: dict[str, float]
    unknown_rarity: float
    vocabulary: tuple[str, ...]


class _Header(msgspec.Struct, frozen=True):
    format: int


def encode(artefact: Artefact, created: datetime | None = None) -> tuple[bytes, bytes]:
    """Write an artefact as the bytes of `model.safetensors` and `router.json`.

    Args:
        artefact: What to write.
        created: Written instead of the artefact's own time.
    """
    p = artefact.parameters
    arrays = {"weights": p.weights, "bias": p.bias, "rarity": p.rarity}
    model = save_arrays({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    document = _Document(
        format=FORMAT,
        created=created or artefact.created,
        recipe=RECIPE,
        labels=p.labels,
        corpus_digest=artefact.corpus_digest,
        model_digest=hashlib.sha256(model).hexdigest(),
        hyperparameters=artefact.hyperparameters,
        measures=artefact.measures,
        temperatures=dict(p.temperatures),
        unknown_rarity=p.unknown_rarity,
        vocabulary=p.vocabulary,
    )
    return model, msgspec.json.encode(document)


def decode(model: bytes, document: bytes) -> Artefact:
    """Read an artefact from the bytes of `model.safetensors` and `router.json`.

    Raises:
        ArtefactError: When the bytes are damaged, of another format or do not belong
            together; the message says which and what to do.
    """
    found = _decode_document(document)
    seen = hashlib.sha256(model).hexdigest()
    if seen != found.model_digest:
        raise ArtefactError(
            f"model.safetensors is truncated, or not the one router.json was written with:"
            f" SHA-256 {seen[:16]}…, expected {found.model_digest[:16]}…; {ADVICE}"
        )
    try:
        arrays = load_arrays(model)
    except SafetensorError as error:
        raise ArtefactError(f"model.safetensors is damaged: {error}; {ADVICE}") from error
    size, count = len(found.vocabulary), len(found.labels)
    _check_document(found)
    return Artefact(
        parameters=LexicalParameters(
            labels=found.labels,
            vocabulary=found.vocabulary,
            rarity=_checked(arrays, "rarity", (size,)),
            unknown_rarity=found.unknown_rarity,
            weights=_checked(arrays, "weights", (size, count)),
            bias=_checked(arrays, "bias", (count,)),
            temperatures=found.temperatures,
        ),
        hyperparameters=found.hyperparameters,
        measures=found.measures,
        corpus_digest=found.corpus_digest,
        created=found.created,
    )


def _decode_document(document: bytes) -> _Document:
    try:
        header = msgspec.json.decode(document, type=_Header)
        if header.format != FORMAT:
            raise ArtefactError(
                f"router.json has format {header.format}, this router reads {FORMAT}; {ADVICE}"
            )
        return msgspec.json.decode(document, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"router.json is damaged or truncated: {error}; {ADVICE}") from error


def _check_document(found: _Document) -> None:
    if found.recipe != RECIPE:
        raise ArtefactError(
            f"router.json was trained on features by the recipe {found.recipe!r}, this router"
            f" reads texts by {RECIPE!r}; {ADVICE}"
        )
    if len(found.labels) < 2 or list(found.labels) != sorted(set(found.labels)):
        raise ArtefactError(
            f"router.json: labels are {list(found.labels)}, expected two or more different"
            f" ones in order; {ADVICE}"
        )
    if len(set(found.vocabulary)) != len(found.vocabulary):
        raise ArtefactError(f"router.json: the vocabulary names a feature twice; {ADVICE}")
    if ANY_LANGUAGE not in found.temperatures:
        raise ArtefactError(f"router.json: no temperature for {ANY_LANGUAGE!r}; {ADVICE}")
    numbers = {f"temperature of {k}": v for k, v in found.temperatures.items()}
    numbers["unknown_rarity"] = found.unknown_rarity
    for name, value in numbers.items():
        if not 0 < value < LARGEST_VALUE:
            raise ArtefactError(f"router.json: {name} is {value}, expected above 0; {ADVICE}")


def _checked(arrays: Mapping[str, FloatArray], name: str, shape: tuple[int, ...]) -> FloatArray:
    array = arrays.get(name)
    if array is None:
        raise ArtefactError(f"model.safetensors has no array {name!r}; {ADVICE}")
    if array.shape != shape or array.dtype != np.float32:
        raise ArtefactError(
            f"model.safetensors: {name} is {array.dtype} of shape {array.shape}, expected"
            f" float32 of shape {shape} by the vocabulary and labels of router.json; {ADVICE}"
        )
    wrong = int(np.count_nonzero(~(np.abs(array) < LARGEST_VALUE)))
    if wrong:
        raise ArtefactError(
            f"model.safetensors: {name} has {wrong} values that are no number, infinite or"
            f" beyond {LARGEST_VALUE:g}; {ADVICE}"
        )
    return array
