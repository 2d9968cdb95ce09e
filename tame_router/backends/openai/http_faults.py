"""What goes wrong on the way to a server, as errors of ours.

Every error of the network ends here.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator

from tame_router.backends.backend import RETRY_AFTER_S
from tame_router.backends.openai.http_connection import ConnectionBrokenError, NotHttpError
from tame_router.errors import BackendProtocolError, BackendUnavailableError


@contextlib.contextmanager
def our_errors() -> Iterator[None]:
    """Turn what goes wrong before an answer begins into an error of ours.

    Raises:
        BackendUnavailableError: When the server cannot be reached.
        BackendProtocolError: When what answers does not speak HTTP.
    """
    try:
        yield
    except NotHttpError as error:
        raise BackendProtocolError(
            "what listens at the backend's address does not speak HTTP as expected;"
            " check the backend's base_url"
        ) from error
    except (ConnectionBrokenError, OSError, UnicodeError) as error:  # a TimeoutError is an OSError
        raise BackendUnavailableError(
            f"the backend cannot be reached ({_reason(error)}); check that it runs and that"
            f" base_url is its address, and try again in {RETRY_AFTER_S:g} s",
            retry_after_s=RETRY_AFTER_S,
        ) from error


def _reason(error: Exception) -> str:
    """Say why, in a few words that name no address."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {error.verify_message.partition(',')[0]}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or 'no reason was given'}"
        case socket.gaierror() | UnicodeError():
            return "its name is not known"
        case TimeoutError():
            return "it did not answer in time"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case ConnectionBrokenError():
            return "the connection ended before its answer"
    return "no connection"
