"""Extends the router of a running service by a domain: in another process, and in seconds.

scikit-learn would stay in the service's memory for good, and learning would hold up answers.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tame_router.domain_preview import Preview, preview
from tame_router.errors import ArtefactError, TameError
from tame_router.registry.domain.domain import Extended, Outlook
from tame_router.routing.artefact import Artefact, decode, encode
from tame_router.routing.artefact_folder import save_artefact
from tame_router.routing.encoder import Encoder
from tame_router.routing.router import Router
from tame_router.teaching.collision import Collision
from tame_router.teaching.corpus import load_corpus
from tame_router.trained_router import (
    Lesson,
    assemble,
    build_encoder,
    load_trained,
    plan_lesson,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the other process tells: the files of the router, and what changes."""

    model: bytes
    document: bytes
    outlook: Outlook | None


class DomainExtender:
    """Extends the router of this service.

    Args:
        settings: All settings.
        encoder: The encoder that the router asks; None: it is without.
        worker: Where the router waits for its encoder; None: the event loop's own.
    """

    def __init__(
        self, settings: Settings, encoder: Encoder | None, worker: Executor | None = None
    ) -> None:
        self._settings = settings
        self._encoder = encoder
        self._worker = worker

    async def extend(self, folder: Path, others: Catalog, *, outlook: bool) -> Extended:
        """Extend the trained router by the domain in a folder, in memory.

        Args:
            folder: Holds teaching lines; its name is the domain's.
            others: The experts that the router knows.
            outlook: Also tell what changes, which takes most of the time.

        Raises:
            CatalogError: When the lines cannot be used.
            ArtefactError: When the trained router is not of these experts' lines.
        """
        found = await _aside(self._settings, others, folder, outlook=outlook)
        artefact = await asyncio.to_thread(decode, found.model, found.document)
        return Extended(artefact=artefact, outlook=found.outlook)

    async def keep(self, artefact: Artefact) -> Router:
        """Put an extended router in the place of the trained one, and make it ready to decide.

        Raises:
            ArtefactError: When it cannot be written.
        """
        return await asyncio.to_thread(self._keep, artefact)

    def _keep(self, artefact: Artefact) -> Router:
        save_artefact(artefact, self._settings.state_dir / "router")
        return assemble(artefact, self._encoder, self._settings.routing, self._worker)


async def _aside(settings: Settings, others: Catalog, folder: Path, *, outlook: bool) -> _Found:
    """Extend in another process, which ends with the wait for it."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(
        target=_work, args=(sending, settings, others, folder), kwargs={"outlook": outlook}
    )
    process.start()
    sending.close()
    try:
        told = await asyncio.to_thread(receiving.recv)
    except EOFError as error:
        raise ArtefactError(
            "the router could not be extended: the process that did it ended early, perhaps for"
            " want of memory"
        ) from error
    finally:
        process.kill()
        process.join()
    if isinstance(told, TameError):
        raise told
    found: _Found = told
    return found


def _work(
    sending: Connection, settings: Settings, others: Catalog, folder: Path, *, outlook: bool
) -> None:
    """Extend, and send what comes of it: in the other process."""
    told: _Found | TameError
    try:
        told = _extend(settings, others, folder, outlook=outlook)
    except TameError as error:
        told = error
    sending.send(told)


def _extend(settings: Settings, others: Catalog, folder: Path, *, outlook: bool) -> _Found:
    lesson = plan_lesson(settings, others)
    # Another router may have this state folder too, and have extended the router in it already.
    known = _known(replace(lesson, folders={**lesson.folders, folder.name: folder}))
    if known is not None:
        return _found(known, None)
    seen = preview(settings, others, folder, collisions=outlook)
    return _found(seen.extension.artefact, _outlook(lesson, seen) if outlook else None)


def _found(artefact: Artefact, outlook: Outlook | None) -> _Found:
    model, document = encode(artefact)
    return _Found(model=model, document=document, outlook=outlook)


def _known(lesson: Lesson) -> Artefact | None:
    """Give the trained router where it is of these very lines."""
    try:
        return load_trained(lesson, build_encoder(lesson))
    except ArtefactError:
        return None


def _outlook(lesson: Lesson, seen: Preview) -> Outlook:
    label = seen.extension.label
    utterances = load_corpus(lesson.folders).utterances
    owners = {u.text: u.expert for u in utterances}

    def of_experts(collisions: Iterable[Collision]) -> dict[str, int]:
        return dict(Counter(owners.get(c.text, c.lead) for c in collisions))

    return Outlook(
        lines=seen.extension.lines,
        recall=seen.extension.recall,
        asked=dict(Counter(u.expert for u in utterances if u.other != label)),
        taken=of_experts(c for c in seen.lines if c.captured),
        ambiguous=of_experts(c for c in seen.lines if not c.captured),
        alike=dict(Counter(duplicate.other.expert for duplicate in seen.duplicates)),
    )
