"""A look at a new domain before it is activated: extend in memory, then ask both routers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tame_router.catalog.expert import Catalog
from tame_router.config import Settings
from tame_router.errors import ArtefactError, CatalogError
from tame_router.routing.artefact_folder import load_artefact, save_artefact
from tame_router.teaching.collision import Collision, Duplicate, find_collisions, find_duplicates
from tame_router.teaching.corpus import Corpus, load_corpus
from tame_router.teaching.embedding import EmbeddingStore, KnownEmbeddings
from tame_router.teaching.extension import Extension, extend, refuse_unfit
from tame_router.trained_router import (
    Lesson,
    assemble,
    build_encoder,
    load_trained,
    plan_lesson,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a new domain would change.

    Attributes:
        extension: The router with it.
        seconds: Time the extension took, embedding of new lines included.
        lines: Collisions with teaching lines of others.
        traffic: Collisions with the questions that were given.
        duplicates: Its lines that almost stand in other domains.
        artefact_dir: Where the trained router lies.
    """

    extension: Extension
    seconds: float
    lines: tuple[Collision, ...]
    traffic: tuple[Collision, ...]
    duplicates: tuple[Duplicate, ...]
    artefact_dir: Path


def preview(
    settings: Settings,
    catalog: Catalog,
    folder: Path,
    traffic: Sequence[str] = (),
    *,
    collisions: bool = True,
) -> Preview:
    """Extend the trained router in memory, and tell what would change.

    Args:
        settings: All settings.
        catalog: The experts; the folder may be one of them already.
        folder: Holds the domain's teaching lines, and gives it its name.
        traffic: Questions to ask besides the teaching lines; none blank.
        collisions: Look for collisions and near-duplicates, which takes most of the time.

    Raises:
        ConfigError: When the folder cannot be used, or there is no trained router of the
            other experts' lines.
    """
    folder, label = folder.resolve(), folder.resolve().name
    if not folder.is_dir():
        raise CatalogError(f"{folder} is no folder; give one with utterances.zh-TW.txt or .en.txt")
    lesson = plan_lesson(settings, catalog)
    others = {name: path for name, path in lesson.folders.items() if path.resolve() != folder}
    if label in others:
        raise CatalogError(f"there is an expert {label!r} already, in {others[label]}")
    encoder = build_encoder(lesson)
    corpus = load_corpus({**others, label: folder})
    refuse_known(lesson, corpus, label)
    artefact = load_trained(replace(lesson, folders=others), encoder)
    refuse_unfit(artefact, corpus, label)
    store = EmbeddingStore(encoder, lesson.artefact_dir) if encoder else None
    begun = time.perf_counter()
    extension = extend(artefact, corpus, label, created=datetime.now(UTC), embeddings=store)
    seconds = time.perf_counter() - begun
    seen = Preview(
        extension=extension,
        seconds=seconds,
        lines=(),
        traffic=(),
        duplicates=(),
        artefact_dir=lesson.artefact_dir,
    )
    if not collisions:
        return seen
    texts = [u.text for u in corpus.utterances if label not in (u.expert, u.other)]
    known = KnownEmbeddings(encoder, texts, store.embed(texts)) if encoder and store else None
    before = assemble(artefact, known, settings.routing)
    after = assemble(extension.artefact, known, settings.routing)
    return replace(
        seen,
        lines=tuple(find_collisions(before, after, label, texts)),
        traffic=tuple(find_collisions(before, after, label, traffic)),
        duplicates=tuple(find_duplicates(corpus, label)),
    )


def refuse_known(lesson: Lesson, corpus: Corpus, label: str) -> None:
    """Refuse a domain that the trained router has learnt from these very lines.

    Raises:
        CatalogError: When it has.
    """
    try:
        artefact = load_artefact(lesson.artefact_dir, corpus.experts, corpus_digest=corpus.digest)
    except ArtefactError:
        return
    raise CatalogError(
        f"the trained router knows {label!r} already, from the lines that stand there"
        f" (digest {artefact.digest[:16]}…); there is nothing to add"
    )


def activate(seen: Preview, catalog: Catalog) -> None:
    """Put the extended router in the place of the trained one.

    The service loads it when it is started next: the digest it carries is that of all
    experts' lines with the new ones.

    Raises:
        ConfigError: When the domain is no expert yet, or the router cannot be written.
    """
    label = seen.extension.label
    if label not in catalog.names:
        raise CatalogError(refusal(label))
    save_artefact(seen.extension.artefact, seen.artefact_dir)


def refusal(label: str) -> str:
    """Say what a domain lacks that is no expert yet."""
    return (
        f"{label!r} is no expert yet, and nothing was activated; move its folder into the experts"
        " folder, write its expert.yaml and prompt.md, run `tame experts check`, and try again"
    )
