"""Puts what signs receipts together; the libraries are loaded only where a key is set."""

import logging

from tame_router.config_access import ReceiptSettings
from tame_router.receipt.signer import Signer, Unsigned
from tame_router.telemetry import log


def build_signer(settings: ReceiptSettings) -> Signer:
    """Build what signs receipts.

    Raises:
        ConfigError: When the key that is set cannot be used.
    """
    path = settings.key_file
    if path is None:
        return Unsigned()
    from tame_router.receipt.key import load_private, open_to_others
    from tame_router.receipt.receipt import Ed25519Signer

    key = load_private(path)
    if open_to_others(path):
        log.event(logging.WARNING, "receipt.key_open", file=str(path), advice=f"chmod 600 {path}")
    return Ed25519Signer(key)
