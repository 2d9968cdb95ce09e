"""The ids of a call: the caller's own, where it is well formed, beside one that is ours alone."""

import os
import re
from collections.abc import Iterable

import msgspec

REQUEST_ID_KEY = "x-request-id"
_FORM = re.compile(r"[A-Za-z0-9._-]{8,64}")


class CallIds(msgspec.Struct, frozen=True):
    """What a call is named by.

    Attributes:
        request_id: Echoed to the caller, who may have chosen it, and may choose it again.
        answer_id: Made here, and the only one of its kind: names the answer, its record, its
            receipt and what is sent to the backend.
    """

    request_id: str
    answer_id: str


def choose_ids(given: Iterable[str]) -> CallIds:
    """Take the first of the caller's ids that is well formed as the request's, else our own."""
    made = os.urandom(16).hex()
    for value in given:
        if _FORM.fullmatch(value):
            return CallIds(value, made)
    return CallIds(made, made)
