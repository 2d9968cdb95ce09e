"""Where tenants, grants, keys and bindings are kept, and the few things that are done with them.

Every change first counts the generation up. That row is then locked until the change is
kept, so that changes follow one another on every database, each sees all before it, and
whoever reads the generation knows whether there is anything new.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from tame_router.errors import AlreadyExistsError, KeyNotFoundError, TenantNotFoundError
from tame_router.store import Database
from tame_router.tenancy.access import ApiKey, Binding, BindingKind
from tame_router.tenancy.history import Forgetful, History, State, change_of
from tame_router.tenancy.snapshot import Snapshot
from tame_router.tenancy.tables import (
    BINDING,
    GENERATION,
    GRANT,
    KEY,
    TABLES,
    TENANT,
    load_binding,
    load_tenants,
    read_binding,
    read_key,
    write_binding,
    write_grants,
    write_key,
    write_tenant,
)
from tame_router.tenancy.tenant import Tenant


class TenantStore:
    """Keeps tenants in a database. Synchronous; threads and processes may share it.

    Args:
        database: Where the tables are, or are to be made.
        history: What is remembered of tenants, in the same database.

    Raises:
        StoreUnavailableError: When the database cannot be used; from every method as well.
    """

    def __init__(self, database: Database, history: History | None = None) -> None:
        self._history = history or Forgetful()
        self._by = ""
        for table in TABLES:
            database.create(table)
        self._database = database
        try:
            with database.transaction() as connection:
                if connection.execute(select(GENERATION)).first() is None:
                    connection.execute(GENERATION.insert().values(id=1, number=0))
        except IntegrityError:
            pass  # another process was faster: the row is there

    def signed(self, by: str) -> "TenantStore":
        """Give this store for one who makes changes, under whose name they are remembered."""
        mine = copy.copy(self)
        mine._by = by
        return mine

    def generation(self) -> int:
        """Give the number that grows with every change; a cheap query."""
        with self._database.transaction() as connection:
            return _generation(connection)

    def snapshot(self) -> Snapshot:
        """Give everything as it stands at one moment."""
        with self._database.reading() as connection:
            return Snapshot.of(
                load_tenants(connection),
                map(read_key, connection.execute(select(KEY))),
                map(read_binding, connection.execute(select(BINDING))),
                _generation(connection),
            )

    def create(self, tenant: Tenant, request_id: str = "") -> Tenant:
        """Add a tenant.

        Args:
            tenant: The tenant.
            request_id: Names this attempt: repeated, it gives what is there; empty: nothing.

        Raises:
            AlreadyExistsError: When there is one of that name, or was one whose answers or use
                are still recorded: they would be the new one's.
        """
        with self._changing() as connection:
            row = connection.execute(select(TENANT).where(TENANT.c.name == tenant.name)).first()
            if row is not None:
                if request_id and row.request_id == request_id:
                    return _tenant(connection, tenant.name)
                raise AlreadyExistsError(
                    f"there is a tenant {tenant.name!r} already; choose another name, or update it",
                    metadata={"tenant": tenant.name},
                )
            if self._history.knows(connection, tenant.name):
                raise AlreadyExistsError(
                    f"a tenant {tenant.name!r} was there before, and what it used is still"
                    " recorded under this name; choose another name",
                    metadata={"tenant": tenant.name},
                )
            values = {**write_tenant(tenant), "request_id": request_id}
            connection.execute(TENANT.insert().values(values))
            _insert_grants(connection, tenant)
            self._remember(connection, None, tenant)
        return tenant

    def change(self, name: str, change: Callable[[Tenant], Tenant]) -> Tenant:
        """Put a tenant's new state in the place of the one it is made from.

        Args:
            name: The tenant's name, which the change keeps.
            change: Makes the new state; what it raises leaves everything as it was.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        with self._changing() as connection:
            old = _tenant(connection, name)
            new = change(old)
            connection.execute(
                TENANT.update().where(TENANT.c.name == name).values(write_tenant(new))
            )
            connection.execute(GRANT.delete().where(GRANT.c.tenant == name))
            _insert_grants(connection, new)
            self._remember(connection, old, new)
        return new

    def delete(self, name: str) -> None:
        """Take a tenant away, with its grants, keys and bindings.

        Raises:
            TenantNotFoundError: When there is none of that name.
        """
        with self._changing() as connection:
            old = _tenant(connection, name)
            for table in (GRANT, KEY, BINDING):
                connection.execute(table.delete().where(table.c.tenant == name))
            connection.execute(TENANT.delete().where(TENANT.c.name == name))
            self._remember(connection, old, None)

    def add_key(self, key: ApiKey, request_id: str = "") -> None:
        """Add a key.

        Args:
            key: The key.
            request_id: Names this attempt, which counts once; empty: nothing.

        Raises:
            TenantNotFoundError: When there is no such tenant.
            AlreadyExistsError: When there is such a key, or the attempt has made one.
        """
        with self._changing() as connection:
            _tenant(connection, key.tenant)
            _insert_key(connection, key, request_id)
            self._remember(connection, None, key)

    def change_key(self, key_id: str, change: Callable[[ApiKey], ApiKey]) -> ApiKey:
        """Put a key's new state in the place of the one it is made from.

        Raises:
            KeyNotFoundError: When there is no such key.
        """
        with self._changing() as connection:
            old = _key(connection, key_id)
            new = change(old)
            _update_key(connection, new)
            self._remember(connection, old, new)
        return new

    def rotate_key(
        self,
        key_id: str,
        rotate: Callable[[ApiKey], tuple[ApiKey, ApiKey]],
        request_id: str = "",
    ) -> ApiKey:
        """Put a new key beside one that is to end.

        Args:
            key_id: Which is to end.
            rotate: Makes the old one's new state, and the new one.
            request_id: As for `add_key`.

        Raises:
            KeyNotFoundError: When there is no such key.
            AlreadyExistsError: As `add_key` does.
        """
        with self._changing() as connection:
            before = _key(connection, key_id)
            old, new = rotate(before)
            _update_key(connection, old)
            _insert_key(connection, new, request_id)
            self._remember(connection, before, old)
            self._remember(connection, None, new)
        return new

    def bind(self, binding: Binding) -> None:
        """Bind a name to a tenant; the same binding again changes nothing.

        Raises:
            TenantNotFoundError: When there is no such tenant.
            AlreadyExistsError: When the name is bound otherwise.
        """
        with self._changing() as connection:
            _tenant(connection, binding.tenant)
            found = load_binding(connection, binding.kind, binding.name)
            if found == binding:
                return
            if found is not None:
                raise AlreadyExistsError(
                    f"the {binding.kind.value} {binding.name[:80]!r} is bound to tenant"
                    f" {found.tenant!r} already; unbind it first",
                    metadata={"tenant": found.tenant},
                )
            connection.execute(BINDING.insert().values(write_binding(binding)))
            self._remember(connection, None, binding)

    def unbind(self, kind: BindingKind, name: str) -> bool:
        """Let a name stand for nobody; tell whether it stood for somebody."""
        same = (BINDING.c.kind == kind.value) & (BINDING.c.name == name)
        with self._changing() as connection:
            found = load_binding(connection, kind, name)
            connection.execute(BINDING.delete().where(same))
            self._remember(connection, found, None)
            return found is not None

    def _remember(self, connection: Connection, before: State, after: State) -> None:
        change = change_of(self._by, before, after)
        if change is not None:
            self._history.add(connection, change)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """Give a transaction in which nobody else changes anything."""
        with self._database.transaction() as connection:
            connection.execute(GENERATION.update().values(number=GENERATION.c.number + 1))
            yield connection


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(GENERATION.c.number)).scalar_one())


def _tenant(connection: Connection, name: str) -> Tenant:
    for tenant in load_tenants(connection, name):
        return tenant
    raise no_tenant(name)


def no_tenant(name: str) -> TenantNotFoundError:
    """Make the error for a name that is no tenant's."""
    return TenantNotFoundError(
        f"there is no tenant {name[:64]!r}; `tame tenant list` or ListTenants tells which there"
        " are",
        metadata={"tenant": name[:64]},
    )


def _insert_grants(connection: Connection, tenant: Tenant) -> None:
    if rows := write_grants(tenant):
        connection.execute(GRANT.insert(), rows)


def _key(connection: Connection, key_id: str) -> ApiKey:
    row = connection.execute(select(KEY).where(KEY.c.key_id == key_id)).one_or_none()
    if row is None:
        raise KeyNotFoundError(
            f"there is no key {key_id[:64]!r}; `tame tenant key list` or ListApiKeys tells which"
            " there are",
            metadata={"key_id": key_id[:64]},
        )
    return read_key(row)


def _insert_key(connection: Connection, key: ApiKey, request_id: str) -> None:
    made = KEY.c.key_id == key.key_id
    if request_id:
        made |= KEY.c.request_id == request_id
    found = connection.execute(select(KEY.c.key_id).where(made)).scalar()
    if found is not None:
        raise AlreadyExistsError(
            f"the key {found!r} was made by this request_id before, and shown then; if it was lost,"
            " revoke it and make another with a request_id of its own",
            metadata={"key_id": found},
        )
    connection.execute(KEY.insert().values(write_key(key, request_id)))


def _update_key(connection: Connection, key: ApiKey) -> None:
    values = write_key(key)
    del values["request_id"]
    connection.execute(KEY.update().where(KEY.c.key_id == key.key_id).values(values))
