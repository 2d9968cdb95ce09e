"""Experts by the names that OpenAI's programs call models: what a `model` asks for."""

from functools import partial

from msgspec.structs import replace

from tame_router.catalog.expert import Catalog, Expert
from tame_router.errors import ExpertNotFoundError, InvalidRequestError
from tame_router.routing.decision import Constraints

AUTO = "tame-auto"
"""The model that stands for the router's own choice."""

MODEL_FACT = "model"
"""Fact of an error that is about the `model` of the request."""


def named(model: str | None) -> str:
    """Give the name of the expert that a model is about; empty: the router decides."""
    return "" if model is None or model == AUTO else model.partition("@")[0]


def constrain(model: str | None, constraints: Constraints, catalog: Catalog) -> Constraints:
    """Add to a caller's wishes what its `model` says.

    Args:
        model: `tame-auto`, an expert's name, or `expert@revision`; None: the wishes say it all.
        constraints: The other wishes.
        catalog: The experts that exist for the caller.

    Raises:
        ExpertNotFoundError: When the model does not exist for the caller.
        InvalidRequestError: When the wishes exclude each other.
    """
    if model is None or model == AUTO:
        return constraints
    name, separator, revision = model.partition("@")
    expert = find(model, catalog)
    if expert.name in constraints.deny:
        raise InvalidRequestError(
            f"model names {name!r}, and tame.deny denies it; send one of them", field="model"
        )
    named = next(filter(partial(_is_named, revision), expert.revisions), "") if separator else ""
    return replace(constraints, pin=name, revision=named)


def find(model: str, catalog: Catalog) -> Expert:
    """Look up the expert of a model; what is wrong with it is told to nobody.

    Raises:
        ExpertNotFoundError: When there is none for the caller, or not in that revision.
    """
    name, separator, revision = model.partition("@")
    expert = catalog.experts.get(name)
    if expert is not None and (
        not separator or any(map(partial(_is_named, revision), expert.revisions))
    ):
        return expert
    shown = model[:100].encode("utf-8", "replace").decode()
    raise ExpertNotFoundError(
        f"the model {shown!r} does not exist, or you may not use it;"
        " GET /v1/models lists those that you may",
        metadata={MODEL_FACT: shown},
    )


def _is_named(word: str, revision: str) -> bool:
    """Tell whether a word is a revision's name, or its digest alone."""
    return word in {revision, revision.rpartition("--")[2]}
