"""The error tree is what its picture says, and survives the wire."""

import re
from types import ModuleType

import pytest

from tame_router import errors, errors_registry
from tame_router.canonical_code import Code
from tame_router.errors import ConfigError, InvalidRequestError, TameError
from tame_router.errors_registry import RegistryError

BRANCHES = ((errors, TameError), (errors_registry, RegistryError))
"""Modules that draw a tree, each with the tree's root."""


def leaves(root: type[TameError] = TameError) -> list[type[TameError]]:
    """Give a class of the service and everything below it, in order of definition."""
    ours = {module.__name__ for module, _ in BRANCHES}
    found = [root]
    for below in root.__subclasses__():
        found += leaves(below) if below.__module__ in ours else []
    return found


def picture(module: ModuleType) -> list[str]:
    """Give the lines of the tree in a module's docstring."""
    return (module.__doc__ or "").split("```")[1].strip().splitlines()


def drawn(module: ModuleType) -> list[tuple[int, str]]:
    """Read the tree in a module's docstring: depth and name of each class."""
    return [
        (len(match[1]) // 3, match[2])
        for line in picture(module)
        if (match := re.match(r"((?:[│ ]  |[├└]─ )*)(\w+)", line))
    ]


@pytest.mark.parametrize(("module", "root"), BRANCHES)
def test_the_drawn_tree_is_the_real_tree(module: ModuleType, root: type[TameError]) -> None:
    """Every class of a module stands in its picture, at its depth, in order, and nothing else."""
    own = [leaf for leaf in leaves(root) if leaf.__module__ == module.__name__]
    assert drawn(module) == [(leaf.__mro__.index(root), leaf.__name__) for leaf in own]


def test_codes_and_reasons_are_as_drawn() -> None:
    """A line of a picture that names a code or a reason tells the truth."""
    lines = [line for module, _ in BRANCHES for line in picture(module)]
    for leaf in leaves():
        line = next(row for row in lines if re.search(rf"\b{leaf.__name__}\b", row))
        for word in re.findall(r"\b[A-Z]+_[A-Z_]+\b|\bINTERNAL\b|\bUNAVAILABLE\b", line):
            assert word in {leaf.code.name, leaf.reason}, line


def test_reasons_are_stable_words() -> None:
    """A reason is UPPER_SNAKE, at most 63 characters, and belongs to one class."""
    own = [leaf.reason for leaf in leaves() if "reason" in vars(leaf)]
    assert len(own) == len(set(own))
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]{0,62}", reason) for reason in own)


def test_every_leaf_has_a_reason_of_its_own() -> None:
    """What is raised can be told apart by its reason."""
    for leaf in leaves():
        if not leaf.__subclasses__():
            assert "reason" in vars(leaf), leaf


def test_configuration_errors_are_apart() -> None:
    """Start-up errors never share a class with what callers meet."""
    assert not issubclass(ConfigError, InvalidRequestError)
    assert not issubclass(InvalidRequestError, ConfigError)


def test_a_field_is_a_fact_too() -> None:
    """The field at fault travels in the metadata, and comes back from it."""
    sent = InvalidRequestError("wrong", field="messages[0].role", metadata={"role": "7"})
    assert sent.metadata == {"field": "messages[0].role", "role": "7"}
    assert InvalidRequestError("wrong", metadata=sent.metadata).field == "messages[0].role"


@pytest.mark.parametrize("code", list(Code))
def test_codes_are_those_of_grpc(code: Code) -> None:
    """Our numbers are gRPC's."""
    import grpc

    assert grpc.StatusCode[code.name].value[0] == code
