"""A connection to a router: how it is secured, and how the client shows who it is."""

import inspect
import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

import grpc

from tame_router.errors import ConfigError

_ChannelT = TypeVar("_ChannelT")

Metadata = tuple[tuple[str, str], ...]
"""Metadata of a call, as gRPC takes it."""

SECRET_KEYS = frozenset({"authorization", "x-api-key"})
"""Metadata that shows who calls, and must not be read by others."""

REGISTRY_READS = (
    "GetAdapterRevision",
    "ListAdapterRevisions",
    "ListLabelHistory",
    "WatchAdapterRevision",
)
"""Methods about adapters that change nothing, and are tried again."""

_LOCAL_SCHEMES = ("unix:", "unix-abstract:")
_NAME_SCHEMES = ("dns:///", "ipv4:", "ipv6:", "dns:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a connection is secured.

    Attributes:
        root_certificates: PEM authorities that the router's certificate must come from, a file
            or the bytes; None: those of the system.
        certificate: PEM chain of the client's own certificate, a file or the bytes; None: none.
        key: PEM private key of that certificate, a file or the bytes.
        server_name: The name that the router's certificate must carry, where it is not the one
            that is connected to; empty: that one.
    """

    root_certificates: Path | str | bytes | None = None
    certificate: Path | str | bytes | None = None
    key: Path | str | bytes | None = field(default=None, repr=False)
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files, and give what gRPC takes.

        Raises:
            ConfigError: When a file cannot be read, or a certificate comes without its key.
        """
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("tls: a client certificate and its key go together; give both")
        return grpc.ssl_channel_credentials(
            root_certificates=_pem("root_certificates", self.root_certificates),
            private_key=_pem("key", self.key),
            certificate_chain=_pem("certificate", self.certificate),
        )


class ConnectionOptions(TypedDict, total=False):
    """How a client connects.

    Attributes:
        attempts: Tries of a call that finds the service UNAVAILABLE, 1 to 5; 4 where not given.
        api_key: The key that shows who calls; empty: none.
        token: Called before each call for the token that shows who calls; an asynchronous
            client may be given a coroutine function. Not together with `api_key`.
        tls: How the connection is secured; True: by the authorities of the system. None and
            False: not at all.
        metadata: Sent with each call; a function is called before each call, and may give the
            headers that carry a trace on.
        allow_plaintext_key: Send a key or token without TLS to another machine, where a mesh
            or a tunnel does the securing.
    """

    attempts: int
    api_key: str
    token: Callable[[], str] | Callable[[], Awaitable[str]] | None
    tls: Tls | bool | None
    metadata: Mapping[str, str] | Callable[[], Mapping[str, str]]
    allow_plaintext_key: bool


class Connection:
    """Opens a client's channel, and gives the metadata of each of its calls.

    Args:
        target: Address, `host:port`.
        options: How to connect.

    Raises:
        ConfigError: When the options contradict each other, or would let a secret be read.
    """

    def __init__(self, target: str, **options: Unpack[ConnectionOptions]) -> None:
        unknown = set(options) - set(ConnectionOptions.__annotations__)
        if unknown:
            raise TypeError(f"unknown keyword {', '.join(sorted(unknown))}")
        self._target = target
        self._attempts = options.get("attempts", 4)
        tls = options.get("tls")
        self._tls = Tls() if tls is True else (tls or None)
        self._token = options.get("token")
        self._secret_allowed = bool(
            self._tls or is_local(target) or options.get("allow_plaintext_key")
        )
        api_key = options.get("api_key", "")
        if api_key and self._token:
            raise ConfigError("api_key and token: either shows who calls; give one of them")
        if api_key or self._token:
            self._require_secrecy()
        metadata = options.get("metadata", {})
        self._more = metadata if callable(metadata) else None
        fixed = {} if callable(metadata) else dict(metadata)
        if api_key:
            fixed["authorization"] = f"Bearer {api_key}"
        self._fixed = self._checked(fixed)

    def __repr__(self) -> str:
        """Tell where it leads, and no secret."""
        return f"Connection({self._target!r}, tls={self._tls is not None})"

    @property
    def attempts(self) -> int:
        """Tries of a call that finds the service UNAVAILABLE."""
        return self._attempts

    def open(
        self, insecure: Callable[..., _ChannelT], secure: Callable[..., _ChannelT]
    ) -> _ChannelT:
        """Open the channel, by either function of `grpc` or of `grpc.aio`.

        Raises:
            ConfigError: When a certificate or key cannot be read.
        """
        options = channel_options(self._attempts)
        if self._tls is None:
            if is_local(self._target):
                # A proxy of the environment would carry the key to another machine.
                options.append(("grpc.enable_http_proxy", 0))
            return insecure(self._target, options=options)
        if self._tls.server_name:
            options.append(("grpc.ssl_target_name_override", self._tls.server_name))
        return secure(self._target, self._tls.credentials(), options=options)

    def metadata(self) -> Metadata:
        """Give the metadata of one call.

        Raises:
            ConfigError: When a value cannot be sent, or must not be sent unsecured.
        """
        if self._token is None and self._more is None:
            return self._fixed
        token = self._token() if self._token else ""
        if not isinstance(token, str):
            if inspect.iscoroutine(token):
                token.close()
            raise ConfigError("token: gives no text; a coroutine function is for AsyncClient only")
        return self._with(token)

    async def metadata_async(self) -> Metadata:
        """Give the metadata of one call, waiting for the token where it has to be fetched.

        Raises:
            ConfigError: As `metadata` does.
        """
        if self._token is None and self._more is None:
            return self._fixed
        token = self._token() if self._token else ""
        return self._with(token if isinstance(token, str) else await token)

    def _with(self, token: str) -> Metadata:
        more = dict(self._more()) if self._more else {}
        if token:
            more["authorization"] = f"Bearer {token}"
        return (*self._fixed, *self._checked(more))

    def _checked(self, metadata: Mapping[str, str]) -> Metadata:
        """Check metadata here: what gRPC says of a bad value quotes it, and it may be a secret."""
        for name, value in metadata.items():
            if not (isinstance(value, str) and value.isascii() and value.isprintable()):
                raise ConfigError(
                    f"the value of {name!r} cannot be sent: expected printable ASCII characters;"
                    " check for a line break at its end"
                )
            if name.lower() in SECRET_KEYS:
                self._require_secrecy()
        return tuple((name.lower(), value) for name, value in metadata.items())

    def _require_secrecy(self) -> None:
        if not self._secret_allowed:
            raise ConfigError(
                f"a key or token would go to {self._target!r} without TLS, for anyone on the way"
                " to read; give tls=True or tls=Tls(…) (`--tls` on the command line), or"
                " allow_plaintext_key=True where a mesh or a tunnel secures the way"
            )


def is_local(target: str) -> bool:
    """Tell whether an address surely is of this machine, so that nobody is on the way."""
    if target.startswith(_LOCAL_SCHEMES):
        return True
    for scheme in _NAME_SCHEMES:
        if target.startswith(scheme):
            target = target.removeprefix(scheme)
            break
    host = (
        target.rpartition(":")[0].removeprefix("[").removesuffix("]") if ":" in target else target
    )
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def channel_options(attempts: int) -> list[tuple[str, int | str]]:
    """Give the channel arguments: retries of UNAVAILABLE with back-off, by gRPC itself.

    A stream is tried again only while nothing of it has arrived.

    Args:
        attempts: Tries in all, 1 to 5 (gRPC's own limit); 1: no retry.

    Source: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
    """
    policy = {
        "maxAttempts": attempts,
        "initialBackoff": "0.2s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    services = ("RouterService", "ExpertService", "FeedbackService")
    names = [{"service": f"tame_router.v1.{service}"} for service in services]
    # Of the others none is known to be harmless twice; an upload goes on by other means.
    names += [
        {"service": "tame_router.v1.AdapterRegistryService", "method": method}
        for method in REGISTRY_READS
    ]
    config = {"methodConfig": [{"name": names, "retryPolicy": policy}]} if attempts > 1 else {}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.max_receive_message_length", 64 * 2**20),
        ("grpc.keepalive_time_ms", 60_000),
    ]


def _pem(name: str, source: Path | str | bytes | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise ConfigError(f"tls.{name}: {source} cannot be read: {error.strerror}") from None
