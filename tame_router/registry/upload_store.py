"""Where it is kept which uploads have begun and are not finished; their bytes are elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from tame_router.registry.ledger import Ledger
from tame_router.registry.row import microseconds, read_moment
from tame_router.registry.tables import UPLOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """An upload that has begun.

    Attributes:
        upload_id: Names it.
        tenant: Whose it is.
        expert: The expert that the revision is for.
        announcement: What was announced, JSON.
        create_time: When it began, UTC.
    """

    upload_id: str
    tenant: str
    expert: str
    announcement: str
    create_time: datetime


class UploadStore(Ledger):
    """Keeps uploads until they are finished or thrown away."""

    def save_upload(
        self, upload_id: str, tenant: str, expert: str, announcement: str, create_time: datetime
    ) -> UploadRecord:
        """Keep that an upload began, or give the one that is known by its id.

        Args:
            upload_id: Names it.
            tenant: Whose it is.
            expert: The expert that the revision is for.
            announcement: What was announced, JSON.
            create_time: When it began, UTC.
        """
        with self._changing() as writing:
            query = select(UPLOAD).where(UPLOAD.c.upload_id == upload_id)
            known = writing.connection.execute(query).one_or_none()
            if known is not None:
                return _read(known)
            row = {
                "upload_id": upload_id,
                "tenant": tenant,
                "expert": expert,
                "announcement": announcement,
                "create_time_us": microseconds(create_time),
            }
            writing.connection.execute(UPLOAD.insert().values(row))
            return _read(writing.connection.execute(query).one())

    def upload(self, upload_id: str) -> UploadRecord | None:
        """Give an upload; None: there is none of that id."""
        with self._database.transaction() as connection:
            query = select(UPLOAD).where(UPLOAD.c.upload_id == upload_id)
            row = connection.execute(query).one_or_none()
            return None if row is None else _read(row)

    def drop_upload(self, upload_id: str) -> bool:
        """Forget an upload; tell whether it was known."""
        mine = UPLOAD.c.upload_id == upload_id
        with self._database.transaction() as connection:
            return connection.execute(UPLOAD.delete().where(mine)).rowcount > 0

    def old_uploads(self, before: datetime) -> Sequence[UploadRecord]:
        """Give the uploads that began before a moment, the oldest first."""
        query = select(UPLOAD).where(UPLOAD.c.create_time_us < microseconds(before))
        query = query.order_by(UPLOAD.c.create_time_us, UPLOAD.c.upload_id)
        with self._database.transaction() as connection:
            return [_read(row) for row in connection.execute(query)]


def _read(row: Row[Any]) -> UploadRecord:
    return UploadRecord(
        upload_id=row.upload_id,
        tenant=row.tenant,
        expert=row.expert,
        announcement=row.announcement,
        create_time=read_moment(row.create_time_us),
    )
