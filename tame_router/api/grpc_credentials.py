"""What came with a gRPC call to show who calls."""

import ssl
from functools import lru_cache
from typing import Any

from tame_router.identity.credentials import Credentials

_KEYS = frozenset({"authorization", "x-api-key"})
_NONE = Credentials()


def read_credentials(context: Any) -> Credentials:
    """Gather every key, token and certificate of a call.

    Args:
        context: Its `grpc.aio.ServicerContext`.
    """
    metadata = context.invocation_metadata() or ()
    shown = [(key, str(value)) for key, value in metadata if key in _KEYS]
    pem = next(iter(context.auth_context().get("x509_pem_cert", ())), b"")
    if not shown and not pem:
        return _NONE
    return Credentials(
        authorization=tuple([value for key, value in shown if key == "authorization"]),
        api_key=tuple([value for key, value in shown if key == "x-api-key"]),
        certificate=_der(pem) if pem else b"",
    )


@lru_cache(maxsize=1024)
def _der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
