"""The id of a call: the caller's own where it is well formed, ours otherwise."""

import re
import uuid
from collections.abc import Iterable

REQUEST_ID_KEY = "x-request-id"
_FORM = re.compile(r"[A-Za-z0-9._-]{8,64}")


def choose_request_id(given: Iterable[str]) -> str:
    """Take the first of the caller's ids that is well formed, make one otherwise."""
    for value in given:
        if _FORM.fullmatch(value):
            return value
    return uuid.uuid4().hex
