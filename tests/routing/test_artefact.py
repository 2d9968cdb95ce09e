"""The trained router as bytes: what is damaged is refused with a reason."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from tame_router.errors import ArtefactError
from tame_router.routing.artefact import Artefact, decode, encode
from tame_router.routing.artefact_document import ADVICE, FORMAT

Document = dict[str, Any]
Arrays = dict[str, Any]


def altered(
    artefact: Artefact,
    change_document: Callable[[Document], object] = lambda _: None,
    change_arrays: Callable[[Arrays], object] = lambda _: None,
) -> tuple[bytes, bytes]:
    """Write an artefact with something changed and its digest made right again."""
    model, document = encode(artefact)
    arrays = load(model)
    change_arrays(arrays)
    model = save(arrays)
    values = json.loads(document)
    values["model_digest"] = hashlib.sha256(model).hexdigest()
    change_document(values)
    return model, json.dumps(values, ensure_ascii=False).encode()


def test_what_was_encoded_is_decoded(artefact: Artefact) -> None:
    """Nothing is lost or rounded on the way through the files."""
    again = decode(*encode(artefact))
    assert again.digest == artefact.digest
    assert again.created == artefact.created
    assert again.measures == artefact.measures
    assert again.parameters.vocabulary == artefact.parameters.vocabulary
    assert (again.parameters.weights == artefact.parameters.weights).all()
    assert decode(*altered(artefact)).digest == artefact.digest


def test_the_time_of_training_is_no_part_of_the_digest(artefact: Artefact) -> None:
    """The same router trained on another day has the same digest."""
    model, document = encode(artefact, created=datetime(2030, 1, 1, tzinfo=UTC))
    later = decode(model, document)
    assert later.created.year == 2030
    assert later.digest == artefact.digest
    assert len(later.digest) == 64


def test_truncated_files_are_refused(artefact: Artefact) -> None:
    """Half a file of either kind is named."""
    model, document = encode(artefact)
    with pytest.raises(ArtefactError, match=r"model\.safetensors is truncated"):
        decode(model[:-10], document)
    with pytest.raises(ArtefactError, match=r"router\.json is damaged or truncated"):
        decode(model, document[: len(document) // 2])
    with pytest.raises(ArtefactError, match=r"router\.json is damaged or truncated"):
        decode(model, b"")
    with pytest.raises(ArtefactError, match=r"router\.json is damaged or truncated"):
        decode(model, document[:-1] + b',"x":"\xff"}')


def test_arrays_that_cannot_be_read_are_refused(artefact: Artefact) -> None:
    """A file that has the right digest and is no safetensors file is damaged."""
    junk = b"\x00" * 64
    _, document = altered(
        artefact, lambda d: d.update(model_digest=hashlib.sha256(junk).hexdigest())
    )
    with pytest.raises(ArtefactError, match=r"model\.safetensors is damaged"):
        decode(junk, document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=99), f"format 99, this router reads {FORMAT}"),
        (lambda d: d.pop("labels"), "missing required field `labels`"),
        (lambda d: d.update(recipe="0: words"), "by the recipe '0: words'"),
        (lambda d: d.update(surprise=1), "unknown field `surprise`"),
        (lambda d: d.update(labels=["a"]), "expected two or more different"),
        (lambda d: d.update(labels=["b", "a", "c"]), "expected two or more different"),
        (lambda d: d["vocabulary"].pop(), "by the vocabulary and labels"),
        (lambda d: d["vocabulary"].__setitem__(0, d["vocabulary"][1]), "names a feature twice"),
        (lambda d: d["calibration"]["temperatures"].pop("any"), "no temperature 'any'"),
        (lambda d: d["calibration"]["temperatures"].update(en=0.0), "temperature of en is 0.0"),
        (lambda d: d["calibration"]["temperatures"].update(en=None), "got `null`"),
        (lambda d: d.update(unknown_rarity=-1.0), "unknown_rarity is -1.0"),
    ],
)
def test_a_wrong_document_is_refused(
    artefact: Artefact, change: Callable[[Document], object], message: str
) -> None:
    """Every fault of `router.json` has a message that says which and what to do."""
    with pytest.raises(ArtefactError) as raised:
        decode(*altered(artefact, change))
    assert message in raised.value.message
    assert raised.value.message.endswith(ADVICE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("bias"), "has no array 'bias'"),
        (lambda a: a["weights"].__setitem__((0, 0), np.nan), "weights has 1 values"),
        (lambda a: a["rarity"].__setitem__(3, np.inf), "rarity has 1 values"),
        (lambda a: a["bias"].__setitem__(0, 1e9), "bias has 1 values"),
        (lambda a: a.update(bias=a["bias"].astype(np.float64)), "bias is float64 of shape (3,)"),
        (lambda a: a.update(bias=a["bias"][:2].copy()), "expected float32 of shape (3,)"),
    ],
)
def test_wrong_arrays_are_refused(
    artefact: Artefact, change: Callable[[Arrays], object], message: str
) -> None:
    """Every fault of `model.safetensors` has a message that says which and what to do."""
    with pytest.raises(ArtefactError) as raised:
        decode(*altered(artefact, change_arrays=change))
    assert message in raised.value.message
    assert raised.value.message.endswith(ADVICE)
