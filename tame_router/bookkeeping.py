"""Open what counts, records and signs, as the settings ask for it; and close it in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tame_router.admission.books import Books
from tame_router.audit.building import build_journal
from tame_router.config import Settings
from tame_router.quota.building import build_quota
from tame_router.receipt.building import build_signer
from tame_router.telemetry import instrument
from tame_router.telemetry.recorder import Recorder


@asynccontextmanager
async def open_books(settings: Settings, recorder: Recorder) -> AsyncIterator[Books]:
    """Give the books of a service; on leaving, what waits is written.

    Args:
        settings: All settings.
        recorder: Is told how the books are.

    Raises:
        ConfigError: When a setting, or a file it names, cannot be used.
    """
    degraded = False

    def watch(gone: bool) -> None:
        nonlocal degraded
        degraded = gone

    async with AsyncExitStack() as stack:
        signer = build_signer(settings.receipts)
        journal = build_journal(settings)
        stack.push_async_callback(asyncio.to_thread, journal.close)
        quota = build_quota(settings, watch)
        stack.push_async_callback(quota.close)
        recorder.watch(instrument.AUDIT_QUEUE, lambda: journal.waiting)
        recorder.watch(instrument.QUOTA_DEGRADED, lambda: float(degraded))
        yield Books(quota=quota, journal=journal, signer=signer)
