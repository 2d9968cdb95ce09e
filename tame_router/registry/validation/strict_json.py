"""JSON from strangers: one meaning a document, or none."""

import json
from typing import Any, NoReturn


def read_json(data: bytes) -> Any:
    """Read JSON.

    Raises:
        ValueError: When it is no JSON, not UTF-8, nests too deep, holds NaN or infinity, half a
            surrogate pair, or a name twice in one object; the message says which.
    """
    try:
        document = json.loads(
            data.decode(), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
        # Half a surrogate pair is JSON to Python, and to no other reader.
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text holds half a surrogate pair") from error
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"{ascii(name)[:120]} stands twice")
        made[name] = value
    return made


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
