"""`router.json`: what no training could have written is refused with a reason."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tame_router.errors import ArtefactError
from tame_router.routing.artefact import Artefact, decode, encode
from tame_router.routing.artefact_document import ADVICE, check_document, decode_document
from tests.routing.test_artefact import altered

Document = dict[str, Any]


def spread(values: list[float], index: int, value: float) -> None:
    """Put a value among others."""
    values[index] = value


def test_a_router_with_an_encoder_is_read_as_it_was_written(dense_artefact: Artefact) -> None:
    """What belongs to the encoder is neither lost nor rounded."""
    again = decode(*encode(dense_artefact))
    assert again.digest == dense_artefact.digest
    assert again.levels == dense_artefact.levels
    assert again.dense
    assert dense_artefact.dense
    assert (again.dense.weights == dense_artefact.dense.weights).all()
    assert (again.dense.bias == dense_artefact.dense.bias).all()
    assert again.dense.calibration == dense_artefact.dense.calibration
    assert again.dense.encoder_digest == dense_artefact.dense.encoder_digest
    assert again.dense.confidence == dense_artefact.dense.confidence


def test_what_training_writes_is_sound(artefact: Artefact, dense_artefact: Artefact) -> None:
    """A document with or without an encoder passes."""
    for trained in (artefact, dense_artefact):
        found = decode_document(encode(trained)[1])
        check_document(found)
        assert (found.encoder is None) is (trained.dense is None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["encoder"].update(confidence=1.5), "encoder.confidence is 1.5"),
        (lambda d: d["encoder"].update(confidence=-0.1), "encoder.confidence is -0.1"),
        (lambda d: d["encoder"].update(dimension=7), "expected float32 of shape (7, 3)"),
        (lambda d: d["encoder"].pop("digest"), "missing required field `digest`"),
        (
            lambda d: d["encoder"]["calibration"]["temperatures"].pop("any"),
            "encoder.calibration has no temperature 'any'",
        ),
        (lambda d: d["encoder"]["calibration"].update(slope=0), "encoder.calibration: slope is 0"),
        (lambda d: d["calibration"].update(offset=1e9), "calibration: offset is 1000000000.0"),
        (lambda d: d["calibration"].update(slope=-1), "calibration: slope is -1"),
        (lambda d: spread(d["levels"]["any"], 100, 0.9), "levels of any are no 101 falling"),
        (lambda d: d["levels"]["any"].pop(), "levels of any are no 101 falling"),
        (lambda d: spread(d["levels"]["any"], 0, 1.5), "levels of any is 1.5"),
        (lambda d: spread(d["levels"]["any"], 100, -1.0), "levels of any is -1.0"),
        (lambda d: d["levels"].pop("any"), "levels has none for 'any'"),
        (lambda d: d.update(joint_bias=1e300), "joint_bias is 1e+300"),
        (lambda d: d.update(joint_threshold=-1e7), "joint_threshold is -10000000.0"),
        (lambda d: d.update(unknown_rarity=0), "unknown_rarity is 0"),
        (lambda d: d["vocabulary"].reverse(), "the vocabulary names a feature twice, or is out"),
        (lambda d: d["hyperparameters"].update(strength=-1), "hyperparameters.strength is -1"),
        (lambda d: d["hyperparameters"].update(folds=0), "hyperparameters.folds is 0"),
        (lambda d: d["measures"].update(lines=-4), "measures.lines is -4"),
    ],
)
def test_what_no_training_writes_is_refused(
    dense_artefact: Artefact, change: Callable[[Document], object], message: str
) -> None:
    """Each value out of its range is named with what was seen and what to do."""
    with pytest.raises(ArtefactError) as raised:
        decode(*altered(dense_artefact, change))
    assert message in raised.value.message
    assert raised.value.message.endswith(ADVICE)


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e999"])
def test_a_number_that_is_none_is_refused(dense_artefact: Artefact, number: str) -> None:
    """An infinite bias cannot be written in JSON, and is refused however it is tried."""
    model, document = encode(dense_artefact)
    bias = json.loads(document)["joint_bias"]
    spoilt = document.replace(f'"joint_bias":{bias}'.encode(), f'"joint_bias":{number}'.encode())
    assert spoilt != document
    with pytest.raises(ArtefactError, match=r"router\.json"):
        decode(model, spoilt)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("dense_weights"), "has no array 'dense_weights'"),
        (lambda a: a["dense_weights"].__setitem__((0, 0), np.nan), "dense_weights has 1 values"),
        (lambda a: a["dense_bias"].__setitem__(0, -np.inf), "dense_bias has 1 values"),
        (lambda a: a["joint_weights"].__setitem__(0, np.nan), "joint_weights has 1 values"),
    ],
)
def test_wrong_arrays_of_the_encoder_are_refused(
    dense_artefact: Artefact, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """Weights over embeddings are checked like those over words."""
    with pytest.raises(ArtefactError) as raised:
        decode(*altered(dense_artefact, change_arrays=change))
    assert message in raised.value.message


def test_a_document_without_end_is_refused(dense_artefact: Artefact) -> None:
    """Brackets in brackets do not exhaust the stack."""
    model, _ = encode(dense_artefact)
    with pytest.raises(ArtefactError, match="damaged or truncated"):
        decode(model, b'{"format": 2, "x": ' + b"[" * 100_000)
