"""Experts as OpenAI's models: what `/v1/models` lists, and what an answer names."""

from typing import Any

from tame_router.admission.model import AUTO, find
from tame_router.catalog.expert import Catalog

OWNER = "tame"


def model_id(expert: str, revision: str) -> str:
    """Give the id of what answers: the expert, with the digest of its adapter where it has one."""
    digest = revision.rpartition("--")[2]
    return f"{expert}@{digest}" if digest else expert


def list_models(catalog: Catalog) -> list[dict[str, Any]]:
    """Describe every model that a caller may name."""
    models = [_describe(AUTO)]
    for expert in catalog.experts.values():
        models.append(_describe(expert.name))
        models += [_describe(model_id(expert.name, name)) for name in expert.revisions]
    return models


def describe_model(model: str, catalog: Catalog) -> dict[str, Any]:
    """Describe one model.

    Raises:
        ExpertNotFoundError: When it does not exist for the caller.
    """
    if model != AUTO:
        find(model, catalog)
    return _describe(model)


def _describe(model: str) -> dict[str, Any]:
    # Nobody keeps when an expert was made, and OpenAI's clients need a number.
    return {"id": model, "object": "model", "created": 0, "owned_by": OWNER}
