"""The plainest value that satisfies a simple JSON schema: what a held backend might write."""

from typing import Any

Schema = dict[str, Any]


def sample(schema: Schema, root: Schema | None = None) -> Any:
    """Give a value; knows types, enums, bounds, lengths, alternatives and local references."""
    root = schema if root is None else root
    if "$ref" in schema:
        return sample(_referred(schema["$ref"], root), root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], root)
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
            return {name: sample(below, root) for name, below in properties.items()}
        case "array":
            return [sample(schema.get("items", {}), root)] * max(schema.get("minItems", 1), 1)
        case "integer" | "number":
            return schema.get("minimum", min(1, schema.get("maximum", 1)))
        case "boolean":
            return True
        case "null":
            return None
    return "台灣 sample".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _referred(reference: str, root: Schema) -> Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
