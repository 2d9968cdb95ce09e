"""What tenants, grants, keys and bindings may look like. Pure."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import fields
from datetime import datetime, timedelta

from tame_router.errors import InvalidRequestError
from tame_router.tenancy.access import BindingKind
from tame_router.tenancy.tenant import EVERY_EXPERT, Limits, Scope, Tenant

MAX_TITLE_CHARS = 200
MAX_BINDING_CHARS = 512
MAX_LIMIT = 2**63 - 1
MAX_PRIORITY = 100
MAX_RETAIN_DAYS = 36_500
MAX_OVERLAP = timedelta(days=365)

Experts = Callable[[], Collection[str]]
"""Names the experts that there are; asked only where one has to be known."""

_EXPERT = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SAN = re.compile(r"(dns|uri|email):(.+)")
_JWT = re.compile(r"\S+ .+")


def check_tenant(tenant: Tenant) -> None:
    """Make sure that a tenant can be kept, its grants apart.

    Raises:
        InvalidRequestError: When a field cannot be used.
    """
    if not _NAME.fullmatch(tenant.name):
        raise InvalidRequestError(
            f"the tenant's name is {tenant.name[:64]!r}; expected 2 to 63 lower-case letters,"
            " digits and hyphens, no hyphen at either end",
            field="name",
        )
    check_title(tenant.title)
    for join in sorted(tenant.joins):
        if not _NAME.fullmatch(join):
            raise InvalidRequestError(
                f"joins holds {join[:64]!r}; expected names of joins, `single` for instance",
                field="joins",
            )
    _check_range("priority", tenant.priority, -MAX_PRIORITY, MAX_PRIORITY)
    _check_range("retain_texts_days", tenant.retain_texts_days, 0, MAX_RETAIN_DAYS)
    for limit in fields(Limits):
        value = getattr(tenant.limits, limit.name)
        if value is not None:
            _check_range(limit.name, value, 0, MAX_LIMIT)


def check_title(title: str) -> None:
    """Make sure that a title can be kept.

    Raises:
        InvalidRequestError: When it is too long, or holds what no title holds.
    """
    if len(title) > MAX_TITLE_CHARS:
        raise InvalidRequestError(
            f"title has {len(title)} characters, at most {MAX_TITLE_CHARS} are kept", field="title"
        )
    _check_printable("title", title)


def check_read(granted: Iterable[str], experts: Experts) -> None:
    """Make sure that experts can be granted for reading; `*` stands for all not private.

    Raises:
        InvalidRequestError: When one of them is not there.
    """
    _check_known("read", {name for name in granted if name != EVERY_EXPERT}, experts)


def check_publish(granted: Iterable[str], experts: Experts, *, new_expert: bool = False) -> None:
    """Make sure that experts can be granted for publishing.

    Args:
        granted: Their names.
        experts: Names those that there are.
        new_expert: Some may not be there yet; whoever is granted such a name may make it one.

    Raises:
        InvalidRequestError: When one of them is not there, and must be; when none can have such a
            name; when all are granted at once.
    """
    names = set(granted)
    if EVERY_EXPERT in names:
        raise InvalidRequestError(
            "publish holds '*'; the experts that a tenant may bring adapters for are granted one"
            " by one, by name",
            field="publish",
        )
    if not new_expert:
        hint = "; new_expert lets the tenant make one of that name"
        _check_known("publish", names, experts, hint)
        return
    for name in sorted(names):
        if not _EXPERT.fullmatch(name):
            raise InvalidRequestError(
                f"publish holds {name[:64]!r}, which no expert can be called; expected 2 to 32"
                " lower-case letters, digits and hyphens, a letter first, no hyphen last",
                field="publish",
            )


def check_scopes(scopes: Collection[Scope]) -> None:
    """Make sure that there is a scope.

    Raises:
        InvalidRequestError: When there is none.
    """
    if not scopes:
        raise InvalidRequestError(
            f"scopes is empty; give at least one of {', '.join(Scope)}", field="scopes"
        )


def check_expire_time(expire_time: datetime | None, now: datetime) -> None:
    """Make sure that a key ends after it begins.

    Raises:
        InvalidRequestError: When it would not.
    """
    if expire_time is not None and expire_time <= now:
        raise InvalidRequestError(
            f"the expiry {expire_time:%Y-%m-%dT%H:%M:%SZ} has passed; give a time to come,"
            " or none for a key that lasts",
            field="expire_time",
        )


def check_overlap(overlap: timedelta) -> None:
    """Make sure that two keys count side by side for a time that makes sense.

    Raises:
        InvalidRequestError: When it is negative, or longer than a year.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise InvalidRequestError(
            f"the overlap is {overlap}; expected 0 to {MAX_OVERLAP.days} days", field="overlap"
        )


def check_request_id(request_id: str) -> None:
    """Make sure that a request id is one, or empty.

    Raises:
        InvalidRequestError: When it is neither.
    """
    if request_id and not _REQUEST_ID.fullmatch(request_id):
        raise InvalidRequestError(
            f"request_id is {request_id[:64]!r}; expected 8 to 64 letters, digits, '.', '_'"
            " and '-', or nothing",
            field="request_id",
        )


def binding_name(kind: BindingKind, name: str) -> str:
    """Give the form in which a name is bound and looked up.

    Raises:
        InvalidRequestError: When it is no name of that kind.
    """
    if not 1 <= len(name) <= MAX_BINDING_CHARS:
        raise InvalidRequestError(
            f"the name has {len(name)} characters; expected 1 to {MAX_BINDING_CHARS}",
            field="name",
        )
    _check_printable("name", name)
    if kind is BindingKind.CERTIFICATE_SAN:
        return _san(name)
    if kind is BindingKind.CERTIFICATE_SUBJECT and "=" not in name:
        raise InvalidRequestError(
            f"{name[:80]!r} is no certificate's subject; expected RFC 4514:"
            " `CN=his,O=Hospital`, as `openssl x509 -noout -subject -nameopt RFC2253` prints it",
            field="name",
        )
    if kind is BindingKind.JWT and not _JWT.fullmatch(name):
        raise InvalidRequestError(
            f"{name[:80]!r} is no token's name; expected the issuer, a space, and the value of"
            " the tenant claim: `https://issuer.example/ hospital`",
            field="name",
        )
    return name


def _san(name: str) -> str:
    found = _SAN.fullmatch(name)
    if found is None:
        raise InvalidRequestError(
            f"{name[:80]!r} is no alternative name; expected `dns:his.hospital.tw`,"
            " `uri:spiffe://hospital/his` or `email:his@hospital.tw`",
            field="name",
        )
    return name.lower() if found[1] == "dns" else name


def _check_known(field: str, names: set[str], experts: Experts, hint: str = "") -> None:
    if not names:
        return
    known = experts()
    unknown = sorted(names.difference(known))
    if unknown:
        raise InvalidRequestError(
            f"{field} holds {unknown[0][:64]!r}, which is no expert; there are:"
            f" {', '.join(sorted(known)) or 'none'}{hint}",
            field=field,
        )


def _check_range(field: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise InvalidRequestError(
            f"{field} is {value}; expected {lowest} to {highest}", field=field
        )


def _check_printable(field: str, text: str) -> None:
    if not text.isprintable():
        raise InvalidRequestError(
            f"{field} holds a character that cannot be shown; take it out", field=field
        )
