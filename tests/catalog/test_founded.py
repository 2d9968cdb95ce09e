"""Experts that uploads have made stand beside those of the operator."""

from pathlib import Path

import pytest

from tame_router.catalog.founded import founded_dir, load_all
from tame_router.errors import CatalogError
from tests.fakes.vllm import BASE_MODEL
from tests.small_experts import write_experts

BASE_MODELS = {"local": BASE_MODEL}


def found(made: Path, name: str) -> None:
    """Write the folder of an expert that an upload has made."""
    folder = made / name
    folder.mkdir(parents=True)
    text = (
        f"name: {name}\nbackend: local\ntitles: {{zh-TW: 新, en: New}}\n"
        "descriptions: {zh-TW: 新, en: New}\n"
    )
    (folder / "expert.yaml").write_text(text, encoding="utf-8")
    (folder / "prompt.md").write_text("新\n", encoding="utf-8")


def test_they_are_experts_like_the_others(tmp_path: Path) -> None:
    """In order of their names; of one name the operator's counts; hidden folders do not."""
    own, made = write_experts(tmp_path), founded_dir(tmp_path / "state")
    assert load_all(own, made, BASE_MODELS).names == ("electronics", "general", "legal", "medical")
    found(made, "gardening")
    found(made, "legal")
    found(made, ".new-half")
    catalog = load_all(own, made, BASE_MODELS)
    assert catalog.names == ("electronics", "gardening", "general", "legal", "medical")
    assert catalog.expert("gardening").folder == made / "gardening"
    assert catalog.expert("gardening").live is None
    assert catalog.expert("legal").folder == own / "legal"


def test_one_that_cannot_be_served_is_told(tmp_path: Path) -> None:
    """A backend that was taken away stops the start, as for an expert of the operator's."""
    own, made = write_experts(tmp_path), founded_dir(tmp_path / "state")
    found(made, "gardening")
    text = (made / "gardening" / "expert.yaml").read_text(encoding="utf-8")
    (made / "gardening" / "expert.yaml").write_text(text.replace("local", "gone"), "utf-8")
    with pytest.raises(CatalogError, match="no backend 'gone' is configured"):
        load_all(own, made, BASE_MODELS)
