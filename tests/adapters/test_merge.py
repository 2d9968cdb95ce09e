"""The parts of merging adapters that need neither torch nor a base model."""

from pathlib import Path
from typing import Any

import pytest

from adapters.merge import main
from adapters.merge_card import render, table
from adapters.merge_recipe import METHODS, RecipeError, plan

FACTS: dict[str, Any] = {
    "base_model": "smollm2-135m-instruct",
    "domains": ["legal", "medical"],
    "method": "ties",
    "combination_type": "ties",
    "weight": 0.5,
    "density": 0.5,
    "seed": 1,
    "rank": 4,
    "seconds": 1.5,
    "losses": {
        "base": {"legal": 3.0, "medical": 3.1},
        "merged": {"legal": 2.0, "medical": 2.1},
    },
    "tools": {"torch": "2", "peft": "0"},
}


def test_a_recipe_takes_its_methods_own_values() -> None:
    """What the caller leaves open is the method's, and does not show in the name."""
    for name, method in METHODS.items():
        recipe = plan(["legal", "medical"], name, None, None, 1)
        assert (recipe.kind, recipe.weight, recipe.density) == (
            method.kind,
            method.weight,
            method.density,
        )
        assert recipe.name == f"legal+medical--{name}"


def test_what_differs_shows_in_the_name() -> None:
    """Two recipes never share a folder unless they are the same, seed apart."""
    recipe = plan(["legal", "medical"], "dare", 1.0, 0.75, 1)
    assert recipe.name == "legal+medical--dare-w1-d0.75"
    linear = plan(["legal", "medical"], "linear", None, 0.75, 1)
    assert (linear.density, linear.name) == (None, "legal+medical--linear")


@pytest.mark.parametrize(
    ("domains", "weight", "density", "message"),
    [
        (["legal", "legal"], None, None, "name two different ones"),
        (["legal", "astrology"], None, None, "legal, astrology; name two"),
        (["legal", "medical"], 0.0, None, "weight is 0; give a number above 0"),
        (["legal", "medical"], float("nan"), None, "weight is nan"),
        (["legal", "medical"], None, 1.5, "density is 1.5; give a share"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    domains: list[str], weight: float | None, density: float | None, message: str
) -> None:
    """Domains, weight and density are checked before anything is loaded."""
    with pytest.raises(RecipeError, match=message):
        plan(domains, "ties", weight, density, 1)


def test_merging_what_is_not_there_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing adapter is named, with what makes it, before anything is loaded."""
    assert main(["legal", "medical", "--adapters", str(tmp_path)]) == 1
    assert "holds no adapter_config.json; train it with `make adapters`" in capsys.readouterr().err
    assert main(["legal", "legal"]) == 1


def test_a_card_tells_what_was_merged_and_lost() -> None:
    """The card names both adapters, the way, the rank and the losses."""
    card = render(FACTS)
    for part in (
        "`adapters/legal` and `adapters/medical`",
        "`ties`",
        "density 0.5",
        "| rank | 4 |",
    ):
        assert part in card
    assert "| legal | 3.000 | 2.000 |" in card
    assert "| held-out pairs | base | merged |" in table(FACTS["losses"])


def test_a_card_without_losses_says_nothing_of_them() -> None:
    """What was not measured has no table; a method without density names none."""
    card = render({**FACTS, "density": None, "losses": {"base": {}, "merged": {}}})
    assert "Held-out loss" not in card
    assert "density" not in card
