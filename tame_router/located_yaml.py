"""YAML with line numbers: what was said, and in which line."""

from dataclasses import dataclass, field
from typing import Any

import yaml

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """A parsed YAML document.

    Attributes:
        value: The document as plain Python values.
        lines: Line, from 1, of each key or item by its path.
        duplicates: Paths of keys that stand twice in one mapping, with the second's line.
    """

    value: Any
    lines: dict[Location, int]
    duplicates: dict[Location, int] = field(default_factory=dict)

    def line(self, location: Location) -> int:
        """Give the line of a path, or of the nearest thing above it that exists; 1 at the least."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def parse(text: str) -> Located:
    """Parse YAML (its safe subset) and remember where everything stood.

    Raises:
        yaml.YAMLError: When the text is not YAML; `problem_mark.line` counts from 0.
    """
    located = Located(value=yaml.safe_load(text), lines={})
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None:
        _walk(node, (), located)
    return located


def _walk(node: yaml.Node, location: Location, located: Located) -> None:
    located.lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            below = (*location, key.value)
            if key.value in seen:
                located.duplicates[below] = key.start_mark.line + 1
            seen.add(key.value)
            located.lines.setdefault(below, key.start_mark.line + 1)
            _walk(value, below, located)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*location, index), located)
