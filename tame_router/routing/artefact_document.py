"""`router.json`: what a trained router holds beside its arrays, and whether it is sound."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from tame_router.errors import ArtefactError
from tame_router.routing.calibration import ANY_LANGUAGE, Calibration
from tame_router.routing.conformal import STEPS
from tame_router.routing.features import RECIPE

FORMAT = 2
"""Counted up whenever an older router could not read the files."""

LARGEST_VALUE = 1e6
"""Weights beyond it are no product of training; sums of them would overflow."""

TINIEST_VALUE = 1e-6
"""Least value of what must be above 0."""

ADVICE = "run `tame router train`"


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What training was told.

    Attributes:
        strength: Inverse of regularisation of the lexical weights, > 0.
        dense_strength: The same of the weights over embeddings, > 0.
        least_lines: Lines in which a feature must stand to be learnt, ≥ 1.
        folds: Parts of the lines that are held out in turn, ≥ 2.
        block_lines: Neighbouring lines that are held out together, ≥ 1.
        accuracy_loss: Accuracy on held-out lines that may be lost by not asking the encoder,
            in [0, 1].
        joint_recall: Share of held-out questions for two experts that the fast classifier
            is to notice, in [0, 1].
    """

    strength: float = 30.0
    dense_strength: float = 10.0
    least_lines: int = 2
    folds: int = 5
    block_lines: int = 10
    accuracy_loss: float = 0.005
    joint_recall: float = 0.85


class Measures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the held-out lines said of the model.

    Attributes:
        lines: Teaching lines in all.
        accuracy: Share of held-out lines whose most probable expert is theirs, by language
            and for `calibration.ANY_LANGUAGE`.
        calibration_error: Expected calibration error over all languages, in [0, 1].
        fast_share: Share of held-out lines that were decided without the encoder.
    """

    lines: int
    accuracy: dict[str, float]
    calibration_error: float
    fast_share: float


class EncoderDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What belongs to the encoder, its weights aside."""

    digest: str
    dimension: int
    calibration: Calibration
    confidence: float


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`router.json`."""

    format: int
    created: datetime
    recipe: str
    labels: tuple[str, ...]
    corpus_digest: str
    model_digest: str
    hyperparameters: Hyperparameters
    measures: Measures
    calibration: Calibration
    encoder: EncoderDocument | None
    levels: dict[str, tuple[float, ...]]
    unknown_rarity: float
    joint_bias: float
    joint_threshold: float
    vocabulary: tuple[str, ...]


class _Header(msgspec.Struct, frozen=True):
    format: int


def decode_document(document: bytes) -> Document:
    """Read `router.json`.

    Raises:
        ArtefactError: When it is damaged, or of another format.
    """
    try:
        header = msgspec.json.decode(document, type=_Header)
        if header.format != FORMAT:
            raise ArtefactError(
                f"router.json has format {header.format}, this router reads {FORMAT}; {ADVICE}"
            )
        return msgspec.json.decode(document, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtefactError(f"router.json is damaged or truncated: {error}; {ADVICE}") from error


def check_document(found: Document) -> None:
    """Refuse what no training could have written.

    Raises:
        ArtefactError: When a value is out of range or does not fit this router.
    """
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
    if list(found.vocabulary) != sorted(set(found.vocabulary)):
        raise ArtefactError(
            f"router.json: the vocabulary names a feature twice, or is out of order; {ADVICE}"
        )
    told = found.hyperparameters
    for name, value, least in (
        ("strength", told.strength, TINIEST_VALUE),
        ("dense_strength", told.dense_strength, TINIEST_VALUE),
        ("least_lines", told.least_lines, 1),
        ("folds", told.folds, 2),
        ("block_lines", told.block_lines, 1),
    ):
        _check_number(f"hyperparameters.{name}", value, least, LARGEST_VALUE)
    _check_number("measures.lines", found.measures.lines, 0, 1e12)
    _check_calibration("calibration", found.calibration)
    if found.encoder:
        _check_calibration("encoder.calibration", found.encoder.calibration)
        _check_number("encoder.confidence", found.encoder.confidence, 0, 1)
    _check_number("unknown_rarity", found.unknown_rarity, TINIEST_VALUE, LARGEST_VALUE)
    _check_number("joint_bias", found.joint_bias, -LARGEST_VALUE, LARGEST_VALUE)
    _check_number("joint_threshold", found.joint_threshold, -LARGEST_VALUE, LARGEST_VALUE)
    _check_levels(found.levels)


def _check_calibration(name: str, found: Calibration) -> None:
    if ANY_LANGUAGE not in found.temperatures:
        raise ArtefactError(f"router.json: {name} has no temperature {ANY_LANGUAGE!r}; {ADVICE}")
    for language, value in found.temperatures.items():
        _check_number(f"{name}: temperature of {language}", value, TINIEST_VALUE, LARGEST_VALUE)
    _check_number(f"{name}: slope", found.slope, TINIEST_VALUE, LARGEST_VALUE)
    _check_number(f"{name}: offset", found.offset, -LARGEST_VALUE, LARGEST_VALUE)


def _check_levels(levels: Mapping[str, tuple[float, ...]]) -> None:
    if ANY_LANGUAGE not in levels:
        raise ArtefactError(f"router.json: levels has none for {ANY_LANGUAGE!r}; {ADVICE}")
    for language, values in levels.items():
        if len(values) != STEPS + 1 or list(values) != sorted(values, reverse=True):
            raise ArtefactError(
                f"router.json: levels of {language} are no {STEPS + 1} falling numbers; {ADVICE}"
            )
        _check_number(f"levels of {language}", values[-1], 0, 1)
        _check_number(f"levels of {language}", values[0], 0, 1)


def _check_number(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # also where it is no number
        raise ArtefactError(
            f"router.json: {name} is {value}, expected {least:g} to {most:g}; {ADVICE}"
        )
