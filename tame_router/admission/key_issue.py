"""Making API keys for tenants: the one moment when a key is known whole."""

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tame_router.identity import api_key
from tame_router.tenancy.access import ApiKey
from tame_router.tenancy.tenant import Scope

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.tenancy.administration import Administration


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key that was just made.

    Attributes:
        text: The key itself; to be shown once.
        kept: What is kept of it.
    """

    text: str = field(repr=False)
    kept: ApiKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """What a new key is to be.

    Attributes:
        tenant: Whose it is to be.
        scopes: What it lets its bearer do.
        title: What its owner calls it; may be empty.
        expire_time: From when it does not count any more, UTC; None: never.
        request_id: Names this attempt, which counts once; empty: nothing.
    """

    tenant: str
    scopes: frozenset[Scope] = frozenset({Scope.CHAT})
    title: str = ""
    expire_time: datetime | None = None
    request_id: str = ""


def issue_key(administration: "Administration", wish: KeyWish, now: datetime) -> IssuedKey:
    """Make a key, and keep what is kept of it.

    Raises:
        TenantNotFoundError: When there is no such tenant.
        InvalidRequestError: When the wish cannot be met.
        AlreadyExistsError: When its request id has made a key before.
    """
    made = api_key.make()
    kept = ApiKey(
        key_id=made.key_id,
        digest=made.digest,
        tenant=wish.tenant,
        scopes=wish.scopes,
        title=wish.title,
        create_time=now,
        expire_time=wish.expire_time,
    )
    administration.add_key(kept, wish.request_id)
    return IssuedKey(text=made.key, kept=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How a key is to be replaced.

    Attributes:
        key_id: The one to replace.
        overlap: How long both count.
        expire_time: When the new one ends, UTC; None: it lasts as long as the old one was made
            to last.
        request_id: Names this attempt, which counts once; empty: nothing.
        tenant: Whose key it must be; empty: anybody's.
    """

    key_id: str
    overlap: timedelta
    expire_time: datetime | None = None
    request_id: str = ""
    tenant: str = ""


def rotate_key(administration: "Administration", rotation: Rotation, now: datetime) -> IssuedKey:
    """Make a key with the scopes and title of another, which ends after a while.

    Raises:
        KeyNotFoundError: When there is no such key.
        InvalidRequestError: When it does not count any more, or the wish cannot be met.
        AlreadyExistsError: When the request id has made a key before.
    """
    made = api_key.make()

    def replace(old: ApiKey) -> ApiKey:
        expire_time = rotation.expire_time
        if expire_time is None and old.expire_time is not None:
            expire_time = now + (old.expire_time - old.create_time)
        return dataclasses.replace(
            old,
            key_id=made.key_id,
            digest=made.digest,
            create_time=now,
            expire_time=expire_time,
            revoke_time=None,
        )

    kept = administration.rotate_key(
        rotation.key_id,
        replace,
        overlap=rotation.overlap,
        now=now,
        request_id=rotation.request_id,
        tenant=rotation.tenant,
    )
    return IssuedKey(text=made.key, kept=kept)
