"""`training.json`: what a training recipe tells of itself; one of its facts is checked. Pure."""

import re

from tame_router.registry.advice import found
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.validation.file_rules import TRAINING
from tame_router.registry.validation.strict_json import read_json

_DIGEST = re.compile(r"[0-9a-f]{64}")


def told_digest(data: bytes) -> tuple[str, list[Finding]]:
    """Read the digest of the base model that was trained on; empty: not said.

    Args:
        data: The file's bytes.
    """
    try:
        document = read_json(data)
    except ValueError as error:
        return "", [_fault(f"is not JSON: {str(error)[:200]}")]
    if not isinstance(document, dict):
        return "", [_fault("must hold a JSON object")]
    told = document.get("base_model_digest") or ""
    if told and (not isinstance(told, str) or _DIGEST.fullmatch(told) is None):
        return "", [_fault("base_model_digest must have 64 hexadecimal characters")]
    return told, []


def _fault(message: str) -> Finding:
    return found(Reason.CONFIG_MALFORMED, f"{TRAINING} {message}", TRAINING)
