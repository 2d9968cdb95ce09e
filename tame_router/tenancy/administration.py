"""What is done to tenants, by an operator's command or over the API: checked, kept, told."""

import dataclasses
import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from tame_router.errors import InvalidRequestError, KeyNotFoundError
from tame_router.telemetry import log
from tame_router.tenancy import rules
from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.store import TenantStore, no_tenant
from tame_router.tenancy.tenant import Tenant


class Administration:
    """Changes tenants, and logs every change with who made it. Synchronous.

    Args:
        store: Keeps them.
        experts: Names the experts that there are.
        by: Who does it, for the log and the history: a key's id, or `command`.

    Raises:
        StoreUnavailableError: From every method, when the database cannot be used.
        InvalidRequestError: From every method, when what it is given cannot be used.
    """

    def __init__(self, store: TenantStore, experts: rules.Experts, *, by: str) -> None:
        self._store = store.signed(by)
        self._experts = experts
        self._by = by

    def snapshot(self) -> Snapshot:
        """Give everything as it stands."""
        return self._store.snapshot()

    def tenant(self, name: str) -> Tenant:
        """Look a tenant up.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        return self._of(name).tenants[name]

    def keys(self, tenant: str) -> Sequence[ApiKey]:
        """Give a tenant's keys, those that do not count any more included, in order of their ids.

        Raises:
            TenantNotFoundError: When there is no such tenant.
        """
        found = self._of(tenant)
        return sorted(
            (key for key in found.keys.values() if key.tenant == tenant), key=lambda k: k.key_id
        )

    def bindings(self, tenant: str) -> Sequence[Binding]:
        """Give a tenant's bindings, in order of kind and name.

        Raises:
            TenantNotFoundError: When there is no such tenant.
        """
        found = self._of(tenant)
        mine = (bound for bound in found.bindings.values() if bound.tenant == tenant)
        return sorted(mine, key=lambda bound: (bound.kind, bound.name))

    def create(self, tenant: Tenant, request_id: str = "") -> Tenant:
        """Add a tenant.

        Raises:
            AlreadyExistsError: When there is one of that name, or what was done under it is still
                recorded.
        """
        rules.check_request_id(request_id)
        rules.check_tenant(tenant)
        rules.check_read(tenant.read, self._experts)
        rules.check_publish(tenant.publish, self._experts)
        made = self._store.create(tenant, request_id)
        self._tell("tenant.created", made.name)
        return made

    def update(self, name: str, change: Callable[[Tenant], Tenant]) -> Tenant:
        """Change what is said of a tenant, its grants apart.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """

        def checked(old: Tenant) -> Tenant:
            new = change(old)
            rules.check_tenant(new)
            return new

        made = self._store.change(name, checked)
        self._tell("tenant.updated", name)
        return made

    def suspend(self, name: str, *, suspended: bool) -> Tenant:
        """Answer nothing to a tenant any more, or answer to it again.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        made = self._store.change(name, lambda t: dataclasses.replace(t, suspended=suspended))
        self._tell("tenant.suspended" if suspended else "tenant.resumed", name)
        return made

    def delete(self, name: str) -> None:
        """Take a tenant away, with its keys and bindings; what was recorded of it stays.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        self._store.delete(name)
        self._tell("tenant.deleted", name)

    def grant(
        self,
        name: str,
        read: Collection[str] = (),
        publish: Collection[str] = (),
        *,
        new_expert: bool = False,
    ) -> Tenant:
        """Let a tenant use experts, beside those it may use.

        Args:
            name: The tenant's.
            read: Experts it may ask.
            publish: Experts it may bring adapters for.
            new_expert: Those may be experts that it is yet to make.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        _require_some(read, publish)
        rules.check_read(read, self._experts)
        rules.check_publish(publish, self._experts, new_expert=new_expert)
        made = self._store.change(
            name,
            lambda t: dataclasses.replace(
                t, read=t.read.union(read), publish=t.publish.union(publish)
            ),
        )
        self._tell("tenant.granted", name, read=sorted(read), publish=sorted(publish))
        return made

    def revoke(
        self, name: str, read: Collection[str] = (), publish: Collection[str] = ()
    ) -> Tenant:
        """Let a tenant use experts no more; what it was not granted is passed over.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        _require_some(read, publish)
        made = self._store.change(
            name,
            lambda t: dataclasses.replace(
                t, read=t.read.difference(read), publish=t.publish.difference(publish)
            ),
        )
        self._tell("tenant.revoked", name, read=sorted(read), publish=sorted(publish))
        return made

    def add_key(self, key: ApiKey, request_id: str = "") -> None:
        """Keep a key that was just made.

        Raises:
            TenantNotFoundError: When there is no such tenant.
            AlreadyExistsError: When the request id has made a key before.
        """
        rules.check_request_id(request_id)
        rules.check_scopes(key.scopes)
        rules.check_title(key.title)
        rules.check_expire_time(key.expire_time, key.create_time)
        self._store.add_key(key, request_id)
        self._tell("key.created", key.tenant, key_id=key.key_id, scopes=sorted(key.scopes))

    def rotate_key(
        self,
        key_id: str,
        make: Callable[[ApiKey], ApiKey],
        *,
        overlap: timedelta,
        now: datetime,
        request_id: str = "",
        tenant: str = "",
    ) -> ApiKey:
        """Put a new key beside an old one, which ends after a while.

        Args:
            key_id: The old one.
            make: Makes the new one of the old one.
            overlap: How long both count.
            now: The time.
            request_id: Names this attempt, which counts once; empty: nothing.
            tenant: Whose key it must be; empty: anybody's.

        Raises:
            KeyNotFoundError: When there is no such key.
            AlreadyExistsError: When the request id has made a key before.
        """
        rules.check_request_id(request_id)
        rules.check_overlap(overlap)

        def rotate(old: ApiKey) -> tuple[ApiKey, ApiKey]:
            _require_of(old, tenant)
            if not old.counts(now):
                raise InvalidRequestError(
                    f"the key {key_id!r} does not count any more; make a new one instead",
                    field="key_id",
                )
            new = make(old)
            rules.check_expire_time(new.expire_time, now)
            ends = [end for end in (old.revoke_time, now + overlap) if end is not None]
            return dataclasses.replace(old, revoke_time=min(ends)), new

        new = self._store.rotate_key(key_id, rotate, request_id)
        self._tell("key.rotated", new.tenant, key_id=key_id, new_key_id=new.key_id)
        return new

    def revoke_key(self, key_id: str, now: datetime, *, tenant: str = "") -> ApiKey:
        """Let a key count no more; one that ended before keeps its end.

        Args:
            key_id: The key.
            now: The time.
            tenant: Whose key it must be; empty: anybody's.

        Raises:
            KeyNotFoundError: When there is no such key.
        """

        def revoke(old: ApiKey) -> ApiKey:
            _require_of(old, tenant)
            if old.revoke_time is not None and old.revoke_time <= now:
                return old
            return dataclasses.replace(old, revoke_time=now)

        made = self._store.change_key(key_id, revoke)
        self._tell("key.revoked", made.tenant, key_id=key_id)
        return made

    def bind(self, binding: Binding) -> Binding:
        """Let a name of a certificate or a token stand for a tenant.

        Raises:
            TenantNotFoundError: When there is no such tenant.
            AlreadyExistsError: When the name is bound otherwise.
        """
        rules.check_scopes(binding.scopes)
        name = rules.binding_name(binding.kind, binding.name)
        made = dataclasses.replace(binding, name=name)
        self._store.bind(made)
        self._tell("identity.bound", made.tenant, kind=made.kind.value, identity=name)
        return made

    def unbind(self, kind: BindingKind, name: str) -> bool:
        """Let a name stand for nobody; tell whether it stood for somebody."""
        name = rules.binding_name(kind, name)
        found = self._store.unbind(kind, name)
        if found:
            self._tell("identity.unbound", "", kind=kind.value, identity=name)
        return found

    def _of(self, name: str) -> Snapshot:
        """Give everything, in which there is a tenant of that name."""
        found = self._store.snapshot()
        if name not in found.tenants:
            raise no_tenant(name)
        return found

    def _tell(self, event: str, tenant: str, **facts: object) -> None:
        log.event(logging.INFO, event, tenant=tenant, by=self._by, **facts)


def _require_some(read: Collection[str], publish: Collection[str]) -> None:
    if not read and not publish:
        raise InvalidRequestError(
            "no expert is named; name those to ask, those to publish for, or both", field="read"
        )


def _require_of(key: ApiKey, tenant: str) -> None:
    if tenant and key.tenant != tenant:
        raise KeyNotFoundError(
            f"tenant {tenant[:64]!r} has no key {key.key_id!r}; `tame tenant key list` or"
            " ListApiKeys tells which it has",
            metadata={"tenant": tenant[:64], "key_id": key.key_id},
        )
