"""The headers of a question: its name, and the trace that it belongs to."""

from tame_router.backends.backend import Generation


def headers_of(generation: Generation) -> dict[str, str]:
    """Give the headers that name the answer and carry its trace on.

    What no header can carry is replaced, lest it break out of its line.
    """
    headers = {"X-Request-Id": _header_value(generation.request_id)}
    for name, value in generation.trace.items():
        headers[name] = _header_value(value)
    return headers


def _header_value(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(mark if mark.isascii() and mark.isprintable() else "?" for mark in text)
