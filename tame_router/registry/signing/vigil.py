"""Whether signatures count still: of what answers now, and of what is to answer again.

A key that was taken out, or a policy that was tightened, takes no revision down that answers:
callers would lose their expert at a moment that nobody chose, and one replica after another.
The operator is told, and moves the label. What does not answer yet is not let in any more.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, Protocol

from tame_router.errors import ConfigError, TameError
from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.observer import UNOBSERVED, Observer
from tame_router.registry.record import RevisionRecord
from tame_router.registry.records.access import Records
from tame_router.registry.signing.signature import Verdict
from tame_router.registry.signing.signature_look import signers_unread
from tame_router.telemetry import log

if TYPE_CHECKING:  # the database's library is loaded with it
    from tame_router.registry.records.record_store import RecordStore

LOOK_S: Final = 60.0
"""Time after which a key that was taken out is noticed, at most."""

GLANCE_S: Final = 2.0
"""Longest that going back waits for a storage to give a signature."""


class Signatures(Protocol):
    """Looks at the signature of a revision whose bytes are in the store."""

    async def look(self, record: RevisionRecord) -> Verdict:
        """Tell who signed it, or why it is refused.

        Raises:
            TameError: When it cannot be read.
            ConfigError: When a key or a certificate cannot be.
        """
        ...


class Vigil:
    """Watches over the signatures of what answers.

    Args:
        records: What is known of revisions.
        signatures: Looks at signatures.
        answering: Gives the names that labels have, live ones and canaries.
        observer: Is told how many of them do not count.
    """

    def __init__(
        self,
        records: Records,
        signatures: Signatures,
        answering: Callable[[], Collection[str]],
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._records = records
        self._signatures = signatures
        self._answering = answering
        self._observer = observer
        self._refused: dict[str, str] = {}

    async def glance(self, record: RevisionRecord) -> None:
        """Make sure of a signature before a label goes back to a revision that replicas have.

        A storage that is away keeps nobody from going back: the signature counted when the
        revision was published. The log says so.

        Raises:
            RevisionRefusedError: When its signature does not count any more.
        """
        try:
            async with asyncio.timeout(GLANCE_S):
                why = await self._why_refused(record)
        except (TameError, TimeoutError) as error:
            log.event(
                logging.WARNING,
                "adapter.signature_unread",
                revision=record.name,
                because=str(error) or "the storage did not answer in time",
            )
            return
        if why:
            raise RevisionRefusedError(
                f"{record.name} is not gone back to: {why}; name another with --revision, or make"
                " its signer count again",
                metadata={"revision": record.name},
            )

    async def look(self) -> None:
        """Look at all that answers, and tell of what does not count any more, once.

        What cannot be read now is as it was when it was last looked at.

        Raises:
            StoreUnavailableError: When the records cannot be read.
        """
        names = sorted(self._answering())
        if not names and not self._refused:
            return
        refused = {}
        for record in await self._records.ask(lambda store: _found(store, names)):
            try:
                why = await self._why_refused(record)
            except TameError:
                why = self._refused.get(record.name, "")
            if why:
                refused[record.name] = why
            if why and record.name not in self._refused:
                log.event(logging.ERROR, "adapter.untrusted", revision=record.name, because=why)
        self._refused = refused
        self._observer.adapters_untrusted(len(refused))

    async def run(self) -> None:
        """Look again and again, until cancelled; that it cannot is said once."""
        failing = False
        while True:
            try:
                await self.look()
            except TameError as error:
                if not failing:
                    log.event(logging.WARNING, "adapter.signature_unread", because=error.message)
                failing = True
            else:
                failing = False
            await asyncio.sleep(LOOK_S)

    async def _why_refused(self, record: RevisionRecord) -> str:
        """Say why a signature does not count; empty: it does, or none is needed."""
        try:
            verdict = await self._signatures.look(record)
        except ConfigError as error:
            return signers_unread(error)
        return "; ".join(finding.message for finding in verdict.findings if finding.fatal)


def _found(store: "RecordStore", names: Collection[str]) -> list[RevisionRecord]:
    """Give those that have a record; what lies in an expert's folder has none."""
    found = (store.get(name, with_report=False) for name in names)
    return [record for record in found if record is not None]
