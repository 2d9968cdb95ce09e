"""How a tenant's callers are known: API keys and other names bound to a tenant. Values only."""

import enum
from dataclasses import dataclass
from datetime import datetime

from tame_router.tenancy.tenant import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is kept of an API key; the key itself is shown once and kept nowhere.

    Attributes:
        key_id: Its public first part, by which it is looked up; also its name in records.
        digest: SHA-256 of the whole key, 32 bytes.
        tenant: Whose it is.
        scopes: What it lets its bearer do.
        title: What its owner calls it; may be empty.
        create_time: When it was made, UTC.
        expire_time: From when it does not count any more, UTC; None: never.
        revoke_time: When it was, or is to be, taken back, UTC; None: it was not. A rotated key
            gets a moment ahead, so that the old and the new count side by side until then.
    """

    key_id: str
    digest: bytes
    tenant: str
    scopes: frozenset[Scope]
    title: str
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None

    def counts(self, now: datetime) -> bool:
        """Tell whether the key lets its bearer in at a moment."""
        expires, revoked = self.expire_time, self.revoke_time
        return (expires is None or now < expires) and (revoked is None or now < revoked)


class BindingKind(enum.StrEnum):
    """What a name that is bound to a tenant is."""

    CERTIFICATE_SUBJECT = "certificate_subject"
    """Distinguished name of a client certificate, RFC 4514: `CN=his,O=Hospital`."""
    CERTIFICATE_SAN = "certificate_san"
    """A subject alternative name: `dns:his.hospital.tw`, `uri:spiffe://hospital/his`."""
    JWT = "jwt"
    """Value of a token's tenant claim, after its issuer: `https://issuer/ hospital`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A name that stands for a tenant."""

    kind: BindingKind
    name: str
    tenant: str
    scopes: frozenset[Scope]
