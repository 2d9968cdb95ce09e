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
from tame_router.routing.artefact_document import (
    ADVICE,
    FORMAT,
    LARGEST_VALUE,
    Document,
    EncoderDocument,
    Hyperparameters,
    Measures,
    check_document,
    decode_document,
)
from tame_router.routing.cascade import DenseParameters
from tame_router.routing.conformal import ConformalLevels
from tame_router.routing.features import RECIPE
from tame_router.routing.lexical import FloatArray, LexicalParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A trained router.

    Attributes:
        parameters: What the fast classifier needs.
        dense: What the encoder's part of the cascade needs; None: trained without encoder.
        levels: What a conformal set is made with.
        hyperparameters: What training was told.
        measures: What held-out lines said.
        corpus_digest: Digest of the teaching material.
        created: When it was trained.
    """

    parameters: LexicalParameters
    dense: DenseParameters | None
    levels: ConformalLevels
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


def encode(artefact: Artefact, created: datetime | None = None) -> tuple[bytes, bytes]:
    """Write an artefact as the bytes of `model.safetensors` and `router.json`.

    Args:
        artefact: What to write.
        created: Written instead of the artefact's own time.
    """
    p, dense = artefact.parameters, artefact.dense
    arrays = {
        "weights": p.weights,
        "bias": p.bias,
        "rarity": p.rarity,
        "joint_weights": p.joint_weights,
    }
    if dense:
        arrays |= {"dense_weights": dense.weights, "dense_bias": dense.bias}
    model = save_arrays({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    document = Document(
        format=FORMAT,
        created=created or artefact.created,
        recipe=RECIPE,
        labels=p.labels,
        corpus_digest=artefact.corpus_digest,
        model_digest=hashlib.sha256(model).hexdigest(),
        hyperparameters=artefact.hyperparameters,
        measures=artefact.measures,
        calibration=p.calibration,
        encoder=_write_encoder(dense) if dense else None,
        levels=dict(artefact.levels.levels),
        unknown_rarity=p.unknown_rarity,
        joint_bias=p.joint_bias,
        joint_threshold=p.joint_threshold,
        vocabulary=p.vocabulary,
    )
    return model, msgspec.json.encode(document)


def _write_encoder(dense: DenseParameters) -> EncoderDocument:
    return EncoderDocument(
        digest=dense.encoder_digest,
        dimension=len(dense.weights),
        calibration=dense.calibration,
        confidence=dense.confidence,
    )


def decode(model: bytes, document: bytes) -> Artefact:
    """Read an artefact from the bytes of `model.safetensors` and `router.json`.

    Raises:
        ArtefactError: When the bytes are damaged, of another format or do not belong
            together; the message says which and what to do.
    """
    found = decode_document(document)
    check_document(found)
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
    return Artefact(
        parameters=LexicalParameters(
            labels=found.labels,
            vocabulary=found.vocabulary,
            rarity=_checked(arrays, "rarity", (size,)),
            unknown_rarity=found.unknown_rarity,
            weights=_checked(arrays, "weights", (size, count)),
            bias=_checked(arrays, "bias", (count,)),
            joint_weights=_checked(arrays, "joint_weights", (size,)),
            joint_bias=found.joint_bias,
            joint_threshold=found.joint_threshold,
            calibration=found.calibration,
        ),
        dense=_read_dense(found.encoder, arrays, count) if found.encoder else None,
        levels=ConformalLevels(levels=found.levels),
        hyperparameters=found.hyperparameters,
        measures=found.measures,
        corpus_digest=found.corpus_digest,
        created=found.created,
    )


def _read_dense(
    found: EncoderDocument, arrays: Mapping[str, FloatArray], count: int
) -> DenseParameters:
    return DenseParameters(
        encoder_digest=found.digest,
        weights=_checked(arrays, "dense_weights", (found.dimension, count)),
        bias=_checked(arrays, "dense_bias", (count,)),
        calibration=found.calibration,
        confidence=found.confidence,
    )


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
