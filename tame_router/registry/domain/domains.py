"""Experts that uploads make: looked at for the gate, made ready for publishing, brought here."""

import asyncio
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tame_router.catalog.expert import Catalog, Expert
from tame_router.catalog.live import LiveCatalog
from tame_router.catalog.loader import read_catalog
from tame_router.catalog.problem import Problem
from tame_router.errors import ArtefactError, CatalogError
from tame_router.errors_registry import RevisionRefusedError, RolloutError
from tame_router.registry.advice import found
from tame_router.registry.domain.domain import Extended, Extender, Outlook, judge_domain
from tame_router.registry.domain.expert_folder import open_place, place_expert, write_expert
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.registry.storage.storage_error import storage_error
from tame_router.registry.validation.file_rules import EXPERT, UTTERANCES
from tame_router.routing.router import Router
from tame_router.telemetry import log


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of a revision that makes an expert.

    Attributes:
        expert: The expert, without adapter; None: its files make none.
        outlook: What it changes; None: it was not got so far.
        findings: What is wrong with it, and what it collides with.
    """

    expert: Expert | None = None
    outlook: Outlook | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it may be asked at all."""
        return not any(finding.fatal for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """An expert that is about to be here.

    Attributes:
        expert: The expert, without adapter.
        router: Decides between it and the others.
    """

    expert: Expert
    router: Router


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A router that was extended beside experts; of no use where there are others by then."""

    beside: tuple[str, ...]
    extended: Extended


class Domains:
    """Makes experts of revisions.

    Args:
        store: Where revisions' bytes are.
        live: The experts that are here.
        extender: Extends the router.
        base_models: Base model of each backend, by the backend's name.
        folder: Where folders of experts are written.
        domain_share: How far a new expert may collide with any other, in [0, 1].
    """

    def __init__(
        self,
        store: RevisionStore,
        live: LiveCatalog,
        extender: Extender,
        base_models: Mapping[str, str],
        folder: Path,
        *,
        domain_share: float,
    ) -> None:
        self._store = store
        self._live = live
        self._extender = extender
        self._base_models = base_models
        self._folder = folder
        self._domain_share = domain_share
        self._ready: dict[str, _Ready] = {}

    async def look(self, revision: str) -> Look:
        """See what a revision's expert would be, and what it would take from the others.

        Raises:
            RevisionNotFoundError: When the revision is not in the store.
            RevisionRefusedError: When it describes no expert.
            CorruptRevisionError: When its files are not what was uploaded.
            ArtefactError: When the trained router here is not of the experts' lines.
        """
        with _aside() as aside:
            folder = await asyncio.to_thread(write_expert, self._store, revision, aside)
            expert, problems = await asyncio.to_thread(self._read, folder)
            if expert is None:
                told = "; ".join(map(_told, problems))
                return Look(findings=(found(Reason.EXPERT_MALFORMED, told, EXPERT),))
            try:
                extended = await self._extender.extend(folder, self._live.folders, outlook=True)
            except CatalogError as error:
                message = error.message.replace(f"{aside}/", "")
                malformed = found(Reason.UTTERANCES_MALFORMED, message, UTTERANCES[0])
                return Look(expert=expert, findings=(malformed,))
        outlook = extended.outlook
        judged = judge_domain(outlook, self._domain_share) if outlook else []
        return Look(expert=expert, outlook=outlook, findings=tuple(judged))

    async def prepare(self, revision: str) -> Expert:
        """Extend the router by a revision's expert, in memory, and give the expert.

        Raises:
            RevisionRefusedError: When its files make no expert beside those that are here.
            RolloutError: When the router here cannot be extended.
            RegistryError: When its files cannot be had.
        """
        with _aside() as aside:
            folder = await asyncio.to_thread(write_expert, self._store, revision, aside)
            expert = await self._expert(revision, folder)
            # One is kept: what was prepared before and did not come to pass is let go of.
            self._ready = {revision: await self._extended(revision, folder)}
        return expert

    async def bring(self, revision: str) -> Newcomer:
        """Write the folder of a revision's expert, and put the extended router in place on disk.

        After a crash in between, the next start trains the router anew.

        Raises:
            RevisionRefusedError: When its files make no expert beside those that are here.
            RolloutError: When the router here cannot be extended.
            RegistryError: When its files cannot be had, or written.
        """
        # It is soon seen, and an extension takes seconds.
        await asyncio.to_thread(open_place, self._folder)
        ready = self._ready.pop(revision, None)
        if ready is None or ready.beside != self._live.folders.names:
            await self.prepare(revision)
            ready = self._ready.pop(revision)
        # Not before: a folder that is there counts at the next start.
        folder = await asyncio.to_thread(place_expert, self._store, revision, self._folder)
        expert = await self._expert(revision, folder)
        try:
            router = await self._extender.keep(ready.extended.artefact)
        except ArtefactError as error:
            raise _unready(revision, error) from error
        return Newcomer(expert=expert, router=router)

    async def _expert(self, revision: str, folder: Path) -> Expert:
        expert, problems = await asyncio.to_thread(self._read, folder)
        if expert is None:
            raise RevisionRefusedError(
                f"{revision} makes no expert here: {'; '.join(map(_told, problems))}",
                metadata={"revision": revision},
            )
        return expert

    async def _extended(self, revision: str, folder: Path) -> _Ready:
        others = self._live.folders
        try:
            extended = await self._extender.extend(folder, others, outlook=False)
        except ArtefactError as error:
            raise _unready(revision, error) from error
        except CatalogError as error:
            told = error.message.replace(f"{folder.parent}/", "")
            raise RevisionRefusedError(
                f"{revision} makes no expert here: {told}", metadata={"revision": revision}
            ) from error
        except OSError as error:
            raise storage_error(error) from error
        return _Ready(beside=others.names, extended=extended)

    def _read(self, folder: Path) -> tuple[Expert | None, list[Problem]]:
        catalog, problems = read_catalog(folder.parent, self._base_models)
        mine = [problem for problem in problems if folder in problem.path.parents]
        return catalog.experts.get(folder.name), mine


@contextmanager
def _aside() -> Iterator[Path]:
    """Give a folder for as long as a domain is looked at."""
    try:
        with tempfile.TemporaryDirectory(
            prefix="tame-domain-", ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)
    except OSError as error:
        raise storage_error(error) from error


def widened(folders: Catalog, expert: Expert) -> Catalog:
    """Give experts with one more, in order of their names."""
    return Catalog(dict(sorted({**folders.experts, expert.name: expert}.items())))


def _told(problem: Problem) -> str:
    place = f"{problem.path.name}:{problem.line}" if problem.line else problem.path.name
    return f"{place}: {problem.message}"


def _unready(revision: str, error: ArtefactError) -> RolloutError:
    """Say that the router cannot be extended; why is for the log, as it names places on disk."""
    log.event(logging.ERROR, "domain.unextended", revision=revision, because=error.message)
    return RolloutError(
        f"the trained router here cannot be extended by the expert of {revision}; the operator"
        " finds the reason in the log: experts' lines that have changed need `tame router train`"
        " and a restart",
        metadata={"revision": revision},
    )
