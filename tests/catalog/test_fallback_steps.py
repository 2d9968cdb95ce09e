"""Who answers in an expert's place, as its card says."""

from pathlib import Path

import pytest

from tame_router.catalog.loader import load_catalog
from tame_router.chat import FallbackKind, FallbackStep
from tests.catalog.test_loader import BASE_MODELS, faults, write_expert


def test_who_answers_in_its_place(tmp_path: Path) -> None:
    """Steps keep their order; none are none, which is not the same as not said."""
    steps = ["base_model", {"expert": "general"}, {"backend": "local"}]
    write_expert(tmp_path, fallback=steps)
    write_expert(tmp_path, "medical", fallback=[])
    write_expert(tmp_path, "general")
    catalog = load_catalog(tmp_path, BASE_MODELS)
    assert catalog.expert("legal").fallback == (
        FallbackStep(kind=FallbackKind.BASE_MODEL),
        FallbackStep(kind=FallbackKind.EXPERT, name="general"),
        FallbackStep(kind=FallbackKind.BACKEND, name="local"),
    )
    assert catalog.expert("medical").fallback == ()
    assert catalog.expert("general").fallback is None


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("nobody", "expected base_model, or `expert: NAME`, or `backend: NAME`"),
        ({"backend": "nowhere"}, "no backend 'nowhere' is configured; there are: local"),
        ({"expert": "legal"}, "leads back to the expert itself"),
        ("base_model", "names the same twice"),
    ],
)
def test_who_cannot_answer_in_its_place_is_named(
    tmp_path: Path, step: object, message: str
) -> None:
    """With the line of the step."""
    write_expert(tmp_path, fallback=["base_model", step])
    (fault,) = faults(tmp_path)
    assert message in fault
    assert fault.startswith("legal/expert.yaml:1")
