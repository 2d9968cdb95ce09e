"""Read `experts/<name>/` folders, and say of every fault in which file and line it stands.

A folder holds `expert.yaml` and `prompt.md`; what teaches the router
(`utterances.*.txt`) and what gates an adapter (`evaluation.jsonl`) is read elsewhere.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
)

from tame_router.catalog.base_model_name import canonical_name
from tame_router.catalog.expert import DOCUMENTS, LANGUAGES, Catalog, Expert
from tame_router.catalog.fallback_steps import step_faults
from tame_router.catalog.problem import Problem
from tame_router.catalog.revision import ADAPTER_FILES, Revision, read_revision
from tame_router.chat import Guarding, Sampling
from tame_router.config_access import said_off
from tame_router.config_backends import Fallback, read_steps
from tame_router.errors import CatalogError
from tame_router.located_yaml import Located, parse

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Stop = Annotated[str, StringConstraints(min_length=1)]


class _Sampling(BaseModel):
    model_config = ConfigDict(extra="forbid")
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    stop: tuple[Stop, ...] = ()


class _Document(BaseModel):
    """`expert.yaml`."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    titles: dict[str, Text]
    descriptions: dict[str, Text]
    backend: Name
    adapters: dict[Text, Text] = Field(default_factory=dict)
    sampling: _Sampling = Field(default_factory=_Sampling)
    notices: dict[str, Text] = Field(default_factory=dict)
    private: StrictBool = False
    documents: Text = ""
    simplified: Annotated[Guarding, BeforeValidator(said_off)] | None = None
    fallback: tuple[Fallback, ...] | None = None


def load_catalog(folder: Path, base_models: Mapping[str, str]) -> Catalog:
    """Read all experts below a folder.

    Args:
        folder: The folder of expert folders.
        base_models: Base model that each backend serves, by the backend's name. An expert
            gets the adapter it has for that base model, or none.

    Raises:
        CatalogError: When anything is wrong; the message lists every fault with its place.
    """
    catalog, problems = read_catalog(folder, base_models)
    fatal = [p for p in problems if p.fatal]
    if fatal:
        raise CatalogError("\n".join(["the experts cannot be served:", *map(str, fatal)]))
    return catalog


def read_catalog(folder: Path, base_models: Mapping[str, str]) -> tuple[Catalog, list[Problem]]:
    """Read what can be read, and list every fault of the rest."""
    if not folder.is_dir():
        return Catalog({}), [Problem(path=folder, line=0, message="no such folder of experts")]
    experts: dict[str, Expert] = {}
    problems: list[Problem] = []
    for below in expert_folders(folder):
        expert, found = _read_expert(below, base_models)
        problems += found
        if expert:
            experts[expert.name] = expert
    if not experts and not problems:
        problems.append(
            Problem(path=folder, line=0, message="holds no expert; add a folder with expert.yaml")
        )
    return Catalog(experts), problems


def document_problems(
    text: str, path: Path, base_models: Mapping[str, str]
) -> tuple[list[Problem], frozenset[str]]:
    """List what is wrong with an `expert.yaml` by itself, and name the operator's keys in it.

    Those are `adapters` and `fallback`: what only who runs the router can know.

    Args:
        text: What stands in it.
        path: The file that the faults name, in a folder of the expert's name; not looked at.
        base_models: Base model that each backend serves, by the backend's name.
    """
    located, problems = _parse_text(path, text)
    if located is None:
        return problems, frozenset()
    try:
        document = _Document.model_validate(located.value)
    except ValidationError as error:
        return problems + _validation_problems(path, located, error), frozenset()
    theirs = {"adapters": bool(document.adapters), "fallback": document.fallback is not None}
    problems += _meaning_problems(path, located, document, base_models)
    return problems, frozenset(key for key, given in theirs.items() if given)


def schema() -> str:
    """Give the JSON schema of `expert.yaml`, for editors."""
    document = {**_Document.model_json_schema(), "title": "An expert of TAME Router"}
    return json.dumps(document, indent=2, ensure_ascii=False)


def expert_folders(folder: Path) -> list[Path]:
    """List the folders that describe experts, by name; hidden ones are passed over."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._")


def _read_expert(
    folder: Path, base_models: Mapping[str, str]
) -> tuple[Expert | None, list[Problem]]:
    path = folder / "expert.yaml"
    located, problems = _parse(path)
    prompt, prompt_problems = _read_prompt(folder / "prompt.md")
    problems += prompt_problems
    if located is None:
        return None, problems
    try:
        document = _Document.model_validate(located.value)
    except ValidationError as error:
        return None, problems + _validation_problems(path, located, error)
    problems += _meaning_problems(path, located, document, base_models)
    live, adapter_problems = _live(path, located, document, base_models)
    problems += adapter_problems
    if any(p.fatal for p in problems):
        return None, problems
    return (
        Expert(
            name=document.name,
            titles=document.titles,
            descriptions=document.descriptions,
            prompt=prompt,
            backend=document.backend,
            live=live,
            sampling=Sampling(**document.sampling.model_dump()),
            notices=document.notices,
            folder=folder,
            private=document.private,
            documents=document.documents,
            guarding=document.simplified,
            fallback=None if document.fallback is None else read_steps(document.fallback),
        ),
        problems,
    )


def _read_text(path: Path) -> tuple[str, list[Problem]]:
    try:
        return path.read_text(encoding="utf-8"), []
    except FileNotFoundError:
        return "", [Problem(path=path, line=0, message="missing; every expert has this file")]
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        return "", [Problem(path=path, line=0, message=message)]
    except OSError as error:
        return "", [Problem(path=path, line=0, message=f"cannot be read: {error.strerror}")]


def _read_prompt(path: Path) -> tuple[str, list[Problem]]:
    text, problems = _read_text(path)
    if not problems and not text.strip():
        problems = [Problem(path=path, line=1, message="empty; write the expert's system prompt")]
    return text.strip(), problems


def _parse(path: Path) -> tuple[Located | None, list[Problem]]:
    text, problems = _read_text(path)
    return (None, problems) if problems else _parse_text(path, text)


def _parse_text(path: Path, text: str) -> tuple[Located | None, list[Problem]]:
    try:
        located = parse(text)
    except (yaml.YAMLError, ValueError) as error:  # a date that is none is a ValueError
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "unreadable"
        line = mark.line + 1 if mark else 0
        return None, [Problem(path=path, line=line, message=f"not YAML: {what}")]
    return located, [
        Problem(path=path, line=line, message=f"{_dotted(location)} stands twice; keep one")
        for location, line in located.duplicates.items()
    ]


def _dotted(location: tuple[str | int, ...]) -> str:
    return ".".join(map(str, location)) or "the document"


def _validation_problems(path: Path, located: Located, error: ValidationError) -> list[Problem]:
    problems = []
    for fault in error.errors(include_url=False):
        place, seen = fault["loc"], fault["input"]
        value = "" if isinstance(seen, dict | list) else f", not {str(seen)[:80]!r}"
        message = f"{_dotted(place)}: {fault['msg'][:200]}{value}"
        if fault["type"] == "missing":
            message = f"{_dotted(place)} is missing"
        if fault["type"] == "extra_forbidden":
            message = f"{_dotted(place)} is not a known key; see docs/experts.md"
        problems.append(Problem(path=path, line=located.line(place), message=message))
    return problems


def _meaning_problems(
    path: Path, located: Located, document: _Document, base_models: Mapping[str, str]
) -> list[Problem]:
    found: list[tuple[tuple[str | int, ...], str]] = []
    if document.name != path.parent.name:
        other = path.parent.parent / document.name
        twice = f", and is that of {other}" if other.is_dir() else ""
        found.append(
            (("name",), f"{document.name!r} is not the folder's name {path.parent.name!r}{twice}")
        )
    if document.backend not in base_models:
        known = ", ".join(sorted(base_models)) or "none"
        found.append(
            (("backend",), f"no backend {document.backend!r} is configured; there are: {known}")
        )
    for key in ("titles", "descriptions"):
        missing = [tag for tag in LANGUAGES if tag not in getattr(document, key)]
        if missing:
            found.append(((key,), f"{key} lacks {' and '.join(missing)}"))
    if document.documents and document.documents.count(DOCUMENTS) != 1:
        found.append((("documents",), f"documents must hold {DOCUMENTS} once, where they stand"))
    steps = read_steps(document.fallback or ())
    found += [
        (("fallback", index), message)
        for index, message in step_faults(steps, document.name, base_models)
    ]
    return [Problem(path=path, line=located.line(place), message=text) for place, text in found]


def _live(
    path: Path, located: Located, document: _Document, base_models: Mapping[str, str]
) -> tuple[Revision | None, list[Problem]]:
    live: Revision | None = None
    problems = []
    for base_model, relative in document.adapters.items():
        folder = path.parent / relative
        line = located.line(("adapters", base_model))
        message = _adapter_fault(folder, base_model)
        if message:
            problems.append(Problem(path=path, line=line, message=f"adapter {relative}: {message}"))
        elif canonical_name(base_models.get(document.backend, "")) == canonical_name(base_model):
            live = read_revision(document.name, folder.resolve())
    return live, problems


def _adapter_fault(folder: Path, base_model: str) -> str:
    """Say what is wrong with an adapter folder; empty: nothing that can be seen from here."""
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            return f"{name} is missing; `make adapters` builds the reference adapters"
    try:
        config: Any = json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        return f"{ADAPTER_FILES[0]} is not readable JSON: {error}"
    named = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(named, str) or canonical_name(named) != canonical_name(base_model):
        return f"was trained for base model {named!r}, not {base_model!r}"
    return ""
