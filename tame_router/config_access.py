"""The settings of the edge: who may call and how, what is counted, recorded and reported.

Values only; `config` puts them into the whole.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65_535)]


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]


class Section(BaseModel):
    """A part of the settings; an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def said_off(value: object) -> object:
    """Give the word back where YAML has read `off` as False."""
    return "off" if value is False else value


class HttpSettings(Section):
    """The HTTP port: the OpenAI API, health and metrics."""

    enabled: bool = Field(True, description="Serve HTTP beside gRPC.")
    host: str = Field("", description="Address to listen on; empty: server.host.")
    port: Port = Field(8080, description="Port to listen on; 0: any free one.")
    max_body_bytes: int = Field(
        16 * 2**20, ge=2**10, le=2**30, description="Largest body that is read at all."
    )
    header_timeout_s: Seconds = Field(10, description="Time a request's header may take.")
    body_timeout_s: Seconds = Field(30, description="Time a request's body may take.")
    keep_alive_s: Seconds = Field(30, description="Idle time after which a connection is closed.")
    max_connections: int = Field(4096, ge=1, description="Connections open at once.")


class TlsSettings(Section):
    """Certificates of both ports. Files are read again when they change."""

    certificate: Path | None = Field(None, description="PEM chain of the server; absent: no TLS.")
    key: Path | None = Field(None, description="PEM private key of the server.")
    client_ca: Path | None = Field(
        None, description="PEM authorities whose client certificates are trusted; absent: none."
    )
    client_crl: Path | None = Field(None, description="PEM revocation lists of those authorities.")
    require_client_certificate: bool = Field(
        False, description="Refuse connections that bring no client certificate."
    )
    grpc_certificate_port: Port | None = Field(
        None,
        description="Second gRPC port, which requires a client certificate; 0: any free one;"
        " absent: none. server.port asks for one only where all connections must bring one.",
    )
    terminated_elsewhere: bool = Field(
        False, description="A proxy or mesh before this router does TLS: listen without it."
    )


class JwtSettings(Section):
    """An issuer of tokens (OpenID Connect or plain JWT)."""

    issuer: str = Field(min_length=1, description="The `iss` that tokens carry.")
    audience: str = Field(min_length=1, description="The `aud` that tokens must name.")
    jwks_url: str = Field(
        "",
        description="Address, https: or file:, of the issuer's keys; empty: by OpenID discovery.",
    )
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256"), min_length=1, description="Signatures that count."
    )
    tenant_claim: str = Field("tenant", min_length=1, description="Claim that names the tenant.")
    scope_claim: str = Field("scope", min_length=1, description="Claim that lists the scopes.")
    leeway_s: float = Field(30, ge=0, le=300, description="Clock difference that is forgiven.")
    refresh_s: Seconds = Field(300, description="Time after which the keys are fetched again.")


class IdentitySettings(Section):
    """How callers show who they are; API keys and client certificates need no settings."""

    jwt: tuple[JwtSettings, ...] = Field((), description="Issuers whose tokens are taken.")


class TenantSettings(Section):
    """The routers' knowledge of tenants."""

    refresh_s: Seconds = Field(2, description="Time after which a change is seen, at most.")
    stale_s: Seconds = Field(
        30, description="Age of that knowledge from which callers are refused."
    )


class QuotaSettings(Section):
    """Where use is counted."""

    redis_url: SecretStr = Field(
        SecretStr(""),
        description="Redis or Valkey that routers share, redis://… or valkey://…; empty: each"
        " router counts for itself.",
    )
    local_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Share of each limit that one router gives out while Redis is gone.",
    )
    reserved_completion_tokens: int = Field(
        512, ge=1, description="Tokens reserved for an answer whose max_tokens is not given."
    )


class AuditSettings(Section):
    """What is recorded of every answer."""

    flush_s: float = Field(
        0.25, gt=0, le=1, description="Longest time a record waits before it is written."
    )
    queue_records: int = Field(
        10_000, ge=1, description="Records that may wait; with more, answers are refused."
    )
    retention_days: int = Field(
        400, ge=1, le=36_500, description="Age at which `tame audit prune` drops records."
    )


class ReceiptSettings(Section):
    """Signed receipts."""

    key_file: Path | None = Field(
        None, description="PEM Ed25519 private key (`tame receipt key`); absent: no receipts."
    )


class TelemetrySettings(Section):
    """Traces and metrics."""

    otlp_endpoint: str = Field(
        "", description="OTLP/gRPC collector, http://host:4317; empty: nothing is sent."
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""), description="Headers for the collector, `name=value,…`."
    )
    sample_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of requests traced where the caller does not say."
    )
    metrics: bool = Field(True, description="Serve /metrics.")
    metrics_public: bool = Field(
        False, description="Serve /metrics without a key; otherwise it takes scope `metrics`."
    )
    metrics_pool: Path | None = Field(
        None,
        description="Folder by which routers on one port show each other's metrics as one; workers"
        " have one by themselves.",
    )
    metrics_tenants: int = Field(
        50, ge=0, description="Tenants named in metrics; all further ones are `other`."
    )
