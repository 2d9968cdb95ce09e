"""The router of a service: loaded as it was trained, or trained first."""

import logging
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tame_router.catalog.expert import Catalog
from tame_router.config import EncoderSettings, RoutingSettings, Settings
from tame_router.errors import ArtefactError
from tame_router.routing.artefact import Artefact
from tame_router.routing.artefact_document import Hyperparameters
from tame_router.routing.artefact_folder import load_artefact, save_artefact
from tame_router.routing.cascade import Cascade
from tame_router.routing.decision import Join
from tame_router.routing.encoder import Encoder
from tame_router.routing.lexical import LexicalClassifier
from tame_router.routing.onnx_encoder import GRAPH_FILE, OnnxEncoder
from tame_router.routing.router import Router
from tame_router.routing.selection import SelectionPolicy
from tame_router.routing.sentence_encoder import SentenceEncoder
from tame_router.teaching.corpus import load_corpus
from tame_router.teaching.embedding import EmbeddingStore
from tame_router.teaching.training import Progress, train
from tame_router.telemetry import log

EMBEDDED_ENCODER = Path("encoders") / "multilingual-e5-small"
"""Where `make encoder` puts the embedded encoder, below the state folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a router is trained from, and where it is put.

    Attributes:
        folders: Folder of each expert, by its name.
        state_dir: The state folder.
        encoder: Which encoder looks again.
    """

    folders: Mapping[str, Path]
    state_dir: Path
    encoder: EncoderSettings

    @property
    def artefact_dir(self) -> Path:
        """Folder of the trained router."""
        return self.state_dir / "router"


def plan_lesson(settings: Settings, catalog: Catalog) -> Lesson:
    """Say what the router of these settings is trained from."""
    return Lesson(
        folders={name: catalog.expert(name).folder for name in catalog.names},
        state_dir=settings.state_dir,
        encoder=settings.routing.encoder,
    )


def build_router(settings: Settings, catalog: Catalog, worker: Executor | None = None) -> Router:
    """Load the trained router; train it first where lines or encoder have changed.

    Args:
        settings: All settings.
        catalog: The experts.
        worker: Where the router waits for its encoder; None: the event loop's own.

    Raises:
        ConfigError: When the experts cannot be told apart, the fallback is none of them, or
            the encoder cannot be used.
    """
    lesson = plan_lesson(settings, catalog)
    encoder = build_encoder(lesson)
    return assemble(load_or_train(lesson, encoder), encoder, settings.routing, worker)


def load_or_train(lesson: Lesson, encoder: Encoder | None) -> Artefact:
    """Load what was trained; train it first where lines or encoder have changed.

    Raises:
        ConfigError: When the experts cannot be told apart, or the encoder cannot be used.
    """
    try:
        return load_trained(lesson, encoder)
    except ArtefactError as stale:
        log.event(logging.INFO, "router.training", because=stale.message)
        _train_aside(lesson)
        return load_trained(lesson, encoder)


def load_trained(lesson: Lesson, encoder: Encoder | None) -> Artefact:
    """Load what was trained from exactly these lines and this encoder.

    Raises:
        ArtefactError: When there is no such thing; the message says why.
        CatalogError: When a file of teaching lines cannot be read.
    """
    return load_artefact(
        lesson.artefact_dir,
        lesson.folders.keys(),
        corpus_digest=load_corpus(lesson.folders).digest,
        encoder_digest=encoder.digest if encoder else "",
        hyperparameters=Hyperparameters(),
    )


def assemble(
    artefact: Artefact,
    encoder: Encoder | None,
    settings: RoutingSettings,
    worker: Executor | None = None,
) -> Router:
    """Put a router together.

    Args:
        artefact: What training found.
        encoder: The encoder it was trained with; None: it was trained without.
        settings: The operator's rules.
        worker: Where the router waits for its encoder; None: the event loop's own.

    Raises:
        ConfigError: When the fallback is no expert.
    """
    fast = LexicalClassifier(artefact.parameters, artefact.digest)
    both = encoder and artefact.dense and Cascade(fast, encoder, artefact.dense)
    policy = SelectionPolicy(
        threshold=settings.threshold,
        coverage=settings.coverage,
        fallback=settings.fallback,
        max_experts=settings.max_experts,
        second_threshold=settings.second_threshold,
        join=Join(settings.join),
        most_experts=settings.most_experts,
        join_threshold=settings.join_threshold,
    )
    return Router(both or fast, policy, artefact.levels, worker)


def build_encoder(lesson: Lesson) -> Encoder | None:
    """Build the encoder that is configured; None: there is none, or it is switched off.

    Raises:
        ConfigError: When it cannot be used.
    """
    if not lesson.encoder.enabled:
        return None
    embedded = lesson.state_dir / EMBEDDED_ENCODER
    folder = Path(lesson.encoder.model) if lesson.encoder.model else embedded
    if (folder / GRAPH_FILE).exists():
        return OnnxEncoder(folder)
    return SentenceEncoder(lesson.encoder.model) if lesson.encoder.model else None


def train_router(lesson: Lesson, progress: Callable[[Progress], None]) -> Artefact:
    """Train the router from the experts' teaching lines, and save it.

    Raises:
        ConfigError: When the experts, their teaching lines or the encoder cannot be used.
    """
    corpus = load_corpus(lesson.folders)
    encoder = build_encoder(lesson)
    store = EmbeddingStore(encoder, lesson.artefact_dir) if encoder else None
    artefact = train(corpus, created=datetime.now(UTC), embeddings=store, progress=progress)
    save_artefact(artefact, lesson.artefact_dir)
    return artefact


def _train_silently(lesson: Lesson) -> None:
    train_router(lesson, lambda _: None)


def _train_aside(lesson: Lesson) -> None:
    """Train in another process: scikit-learn would stay in this one's memory for good."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            pool.submit(_train_silently, lesson).result()
    except BrokenProcessPool as error:
        raise ArtefactError(
            "the router could not be trained: the process that did it was killed, perhaps for want"
            " of memory; run `tame router train` to see how far it gets"
        ) from error
