"""The plainest value that satisfies a simple JSON schema: what a held backend might write."""

from typing import Any

Schema = dict[str, Any]

LARGEST = 10_000
"""Longest text or list that a schema may ask for."""


class UnusableSchemaError(Exception):
    """The schema says nothing that can be obeyed; a real server refuses it too."""


def sample(schema: Schema) -> Any:
    """Give a value; knows types, enums, bounds, lengths, alternatives and local references.

    Raises:
        UnusableSchemaError: When the schema is none, or asks for too much.
    """
    try:
        return _sample(schema, schema)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnusableSchemaError(f"{type(error).__name__}: {error}") from error


def _sample(schema: Schema, root: Schema) -> Any:
    if "$ref" in schema:
        return _sample(_referred(schema["$ref"], root), root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _sample(schema[key][0], root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return _of_type(kind[0] if isinstance(kind, list) else kind, schema, root)


def _of_type(kind: str, schema: Schema, root: Schema) -> Any:
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: _sample(below, root) for name, below in properties.items()}
        case "array":
            items = _bounded(max(schema.get("minItems", 1), 1))
            return [_sample(schema.get("items", {}), root)] * items
        case "integer" | "number":
            return schema.get("minimum", min(1, schema.get("maximum", 1)))
        case "boolean":
            return True
        case "null":
            return None
    shortest = _bounded(schema.get("minLength", 0))
    return "台灣 sample".ljust(shortest, "x")[: schema.get("maxLength")]


def _bounded(size: int) -> int:
    if size > LARGEST:
        raise ValueError(f"{size} is more than {LARGEST}")
    return size


def _referred(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
