"""Experts as OpenAI's models: what `model` means, and what `/v1/models` lists."""

import dataclasses
from typing import Any

from tame_router.api.openai_error import MODEL_FACT
from tame_router.catalog.expert import Catalog, Expert
from tame_router.errors import ExpertNotFoundError, InvalidRequestError
from tame_router.routing.decision import Constraints

AUTO = "tame-auto"
"""The model that stands for the router's own choice."""

OWNER = "tame"


def constrain(model: str, constraints: Constraints, catalog: Catalog) -> Constraints:
    """Add to a caller's wishes what its `model` says.

    Args:
        model: `tame-auto`, an expert's name, or `expert@revision`.
        constraints: The other wishes.
        catalog: The experts that exist for the caller.

    Raises:
        ExpertNotFoundError: When the model does not exist for the caller.
        InvalidRequestError: When the wishes exclude each other.
    """
    if model == AUTO:
        return constraints
    name, separator, revision = model.partition("@")
    expert = _find(model, catalog)
    if expert.name in constraints.deny:
        raise InvalidRequestError(
            f"model names {name!r}, and tame.deny denies it; send one of them", field="model"
        )
    return dataclasses.replace(
        constraints, pin=name, revision=expert.live_revision if separator and revision else ""
    )


def model_id(expert: str, revision: str) -> str:
    """Give the id of what answers: the expert, with the digest of its adapter where it has one."""
    digest = revision.rpartition("--")[2]
    return f"{expert}@{digest}" if digest else expert


def list_models(catalog: Catalog) -> list[dict[str, Any]]:
    """Describe every model that a caller may name."""
    models = [_describe(AUTO)]
    for expert in catalog.experts.values():
        models.append(_describe(expert.name))
        if expert.live_revision:
            models.append(_describe(model_id(expert.name, expert.live_revision)))
    return models


def describe_model(model: str, catalog: Catalog) -> dict[str, Any]:
    """Describe one model.

    Raises:
        ExpertNotFoundError: When it does not exist for the caller.
    """
    if model != AUTO:
        _find(model, catalog)
    return _describe(model)


def _find(model: str, catalog: Catalog) -> Expert:
    """Look up the expert of a model; what is wrong with it is told to nobody."""
    name, separator, revision = model.partition("@")
    expert = catalog.experts.get(name)
    if expert is not None:
        live = expert.live_revision
        known = {live, live.rpartition("--")[2]} - {""}
        if not separator or revision in known:
            return expert
    shown = model[:100].encode("utf-8", "replace").decode()
    raise ExpertNotFoundError(
        f"the model {shown!r} does not exist, or you may not use it;"
        " GET /v1/models lists those that you may",
        metadata={MODEL_FACT: shown},
    )


def _describe(model: str) -> dict[str, Any]:
    # Nobody keeps when an expert was made, and OpenAI's clients need a number.
    return {"id": model, "object": "model", "created": 0, "owned_by": OWNER}
