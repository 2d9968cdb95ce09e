"""Uploads that are hostile or broken: each is refused, for the one reason that is right."""

import pytest

from tame_router.registry.manifest import FileEntry
from tame_router.registry.reason import OF_TRIALS, Reason
from tame_router.registry.validation.base_model import BaseModelShape
from tame_router.registry.validation.validation import Validation
from tests.registry.validation import (
    hostile_configurations,
    hostile_files,
    hostile_headers,
    hostile_tensors,
    hostile_texts,
)
from tests.registry.validation.hostile_files import announced_otherwise
from tests.registry.validation.hostile_texts import new_expert
from tests.registry.validation.upload import (
    CONFIG,
    EXPERT,
    RULES,
    WEIGHTS,
    Upload,
    base_model,
    fatal,
    name,
    numbers,
    small_upload,
    with_file,
)

HOSTILE = {
    **hostile_files.CASES,
    **hostile_headers.CASES,
    **hostile_configurations.CASES,
    **hostile_tensors.CASES,
    **hostile_texts.CASES,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModelShape:
    """Give a small base model."""
    return base_model(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("case", HOSTILE)
def test_each_is_refused_for_its_own_reason(case: str, base: BaseModelShape) -> None:
    """A hostile or broken upload has one fatal reason, with a message and advice to read."""
    make, reason = HOSTILE[case]
    findings = make().send(base)
    assert fatal(findings) == {reason}, findings
    for finding in findings:
        assert 0 < len(finding.message) <= 600
        assert finding.message.isprintable()
        assert finding.advice


@pytest.mark.parametrize("case", HOSTILE)
def test_pieces_change_nothing(case: str, base: BaseModelShape) -> None:
    """What is found does not hang on how the bytes were cut."""
    make, _ = HOSTILE[case]
    upload = make()
    if sum(map(len, upload.files.values())) > 100_000:
        pytest.skip("would take long in such small pieces")
    assert upload.send(base, 13) == upload.send(base)


def test_there_are_enough_of_them() -> None:
    """Nothing has been taken out of the table unnoticed."""
    assert len(HOSTILE) >= 120


def test_every_reason_of_validation_is_met() -> None:
    """No reason of validation is without an upload that has it."""
    elsewhere = {
        Reason.CARD_MISSING,
        Reason.DIGEST_MISMATCH,
        Reason.DOMAIN_COLLISION,
        Reason.SIGNATURE_MISSING,
        Reason.SIGNATURE_INVALID,
        Reason.SIGNER_UNKNOWN,
        Reason.MUST_PASS_FAILED,
        Reason.WORSE_THAN_LIVE,
        Reason.HARMS_OTHER_DOMAIN,
        Reason.SIMPLIFIED_CHINESE,
        Reason.TOO_SLOW,
        Reason.TOO_MUCH_MEMORY,
        Reason.ENGINE_REFUSED,
        Reason.TOO_FEW_CASES,
        *OF_TRIALS,
    }
    assert {reason for _, reason in HOSTILE.values()} == set(Reason) - elsewhere


def test_more_bytes_than_announced(base: BaseModelShape) -> None:
    """Bytes behind the announced end are refused when they come."""
    assert Reason.SIZE_MISMATCH in fatal(announced_otherwise(-2).send(base))


def test_bytes_of_a_file_not_announced(base: BaseModelShape) -> None:
    """A file that comes without having been announced is refused by name."""
    upload = small_upload()
    entries = upload.entries()
    upload.files["extra.json"] = b"x"
    upload.announced = entries
    assert fatal(upload.send(base)) == {Reason.FILE_UNEXPECTED}


def test_names_apart_in_case_alone(base: BaseModelShape) -> None:
    """Two names that are one on some systems are refused, besides the one not known."""
    upload = with_file("ADAPTER_config.json")
    assert fatal(upload.send(base)) == {Reason.PATH_TWICE, Reason.FILE_UNEXPECTED}


def test_a_size_below_zero(base: BaseModelShape) -> None:
    """A size that cannot be is taken for an empty file, and never becomes an index."""
    upload = small_upload()
    negative = FileEntry(path=WEIGHTS, size_bytes=-1, sha256="0" * 64)
    upload.announced = (negative, *(e for e in upload.entries() if e.path != WEIGHTS))
    assert Reason.FILE_EMPTY in fatal(upload.send(base))


def test_the_first_bytes_refuse_what_follows(base: BaseModelShape) -> None:
    """A wrong adapter is refused with its first bytes, not after gigabytes."""
    upload = configured_for_another_base_model()
    validation = Validation(RULES, base)
    assert not fatal(validation.announced(EXPERT, upload.entries()))
    assert not fatal(validation.feed(CONFIG, upload.files[CONFIG]))
    header = int.from_bytes(upload.files[WEIGHTS][:8], "little")
    assert fatal(validation.feed(WEIGHTS, upload.files[WEIGHTS][: 8 + header])) == {
        Reason.TENSOR_SHAPE
    }


def configured_for_another_base_model() -> Upload:
    """Send an adapter of a wider base model of the same name."""
    wide = {
        name(layer, "self_attn.q_proj", part): numbers(*shape)
        for layer in range(2)
        for part, shape in (("lora_A.weight", (2, 16)), ("lora_B.weight", (16, 2)))
    }
    return small_upload(wide, {"target_modules": ["q_proj"]})


def test_what_is_left_unharmed_is_accepted(base: BaseModelShape) -> None:
    """The uploads that the table spoils are good before they are spoilt."""
    assert small_upload().send(base) == []
    assert new_expert().send(base) == []
