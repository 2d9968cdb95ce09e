"""Puts the registry together, and keeps it going beside the service."""

import asyncio
import os
import platform
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tame_router.answering.dispatch import Dispatch
from tame_router.backends.backend import Backend
from tame_router.backends.fleet import Fleet
from tame_router.catalog.founded import founded_dir
from tame_router.catalog.live import LiveCatalog
from tame_router.config import Settings
from tame_router.registry.assessment import Assessment
from tame_router.registry.canary.judge import Judge
from tame_router.registry.canary.shadow import Shadow
from tame_router.registry.canary.warden import Warden
from tame_router.registry.canary.watch import CanaryWatch
from tame_router.registry.canary.witness import Witness
from tame_router.registry.domain.domain import Extender
from tame_router.registry.domain.domains import Domains
from tame_router.registry.examination_sets import ExaminationSets
from tame_router.registry.feed import Feed
from tame_router.registry.finding import Finding
from tame_router.registry.garbage import Garbage
from tame_router.registry.gate.gate import Gate
from tame_router.registry.jobs.leavings import Leavings
from tame_router.registry.jobs.worker import Step, Worker
from tame_router.registry.observer import Observer
from tame_router.registry.record import Actor, Job, JobKind, Label
from tame_router.registry.records.access import Records
from tame_router.registry.registry import Registry
from tame_router.registry.rollout.label_mover import LabelMover
from tame_router.registry.rollout.labels import Labels
from tame_router.registry.rollout.newcomers import Adopt, Newcomers
from tame_router.registry.rollout.publication import Publisher
from tame_router.registry.rollout.restoration import Restorer, Rollback
from tame_router.registry.signing.signature_look import SignatureLook
from tame_router.registry.signing.signing_policy import SigningPolicies
from tame_router.registry.signing.vigil import Vigil
from tame_router.registry.storage.revision_store import RevisionStore
from tame_router.registry.uploading.checkers import Checkers
from tame_router.registry.uploading.intake import Intake
from tame_router.registry.uploading.uploads import Uploads
from tame_router.registry.uploading.wholeness import Wholeness


@asynccontextmanager
async def open_registry(
    settings: Settings,
    base_models: Mapping[str, str],
    live: LiveCatalog,
    backends: Mapping[str, Backend],
    extender: Extender,
    adopt: Adopt,
    *,
    store_url: str,
    base_model_dir: Path | None,
    observer: Observer,
) -> AsyncIterator[Registry]:
    """Open the registry: labels count, jobs are done, until the context is left.

    Args:
        settings: All settings.
        base_models: Base model of each backend, by the backend's name.
        live: The experts; their pointers are moved.
        backends: What runs them.
        extender: Extends the router by experts that uploads make.
        adopt: Lets an extended router decide.
        store_url: Where revisions' bytes are kept.
        base_model_dir: Folder of the base model that adapters must fit; None: not known.
        observer: Counts what happens to adapters.

    Raises:
        ConfigError: When the store's address cannot be used.
        StoreUnavailableError: When there are records, and they cannot be read.
    """
    section = settings.registry
    records = Records(settings.store, settings.state_dir, observer)
    store = RevisionStore(store_url)
    fleet = Fleet(backends)

    async def go_back(wanted: Rollback, actor: Actor) -> Label:
        return await restorer.rollback(wanted, actor)

    async def go_on(canary: str, because: str) -> None:
        await publisher.go_on(canary, because)

    async def prove(shadow: str, because: str) -> None:
        await publisher.prove(shadow, because)

    async def note(canary: str, finding: Finding) -> None:
        await records.ask(lambda kept: kept.note_stay(canary, finding))

    warden = Warden(section.canary, go_back, go_on, prove, note)
    shadow = _shadow(settings, live, backends, warden.watch, observer)
    labels = Labels(records, live, fleet, warden.follow, refresh_s=section.refresh_s)
    domains = Domains(
        store,
        live,
        extender,
        base_models,
        founded_dir(settings.state_dir),
        domain_share=section.gate.domain_share,
    )
    newcomers = Newcomers(records, labels, domains, adopt, refresh_s=section.refresh_s)
    feed = Feed(records, poll_s=section.refresh_s)
    records.changed = feed.tell
    owner = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    checkers = Checkers(settings, base_models, live, base_model_dir)
    uploads = Uploads(settings.state_dir / "uploads", checkers.checker_for)
    whole = Wholeness(store)
    signatures = SignatureLook(store, SigningPolicies(section))
    assessment = Assessment(
        records,
        store,
        signatures,
        Gate(section.gate),
        ExaminationSets(live, store),
        fleet.examining,
        live,
        domains,
        feed,
        observer,
        whole.forget,
    )

    def working(steps: Mapping[JobKind, Step]) -> Worker:
        return Worker(
            records,
            steps,
            assessment.give_up,
            owner=owner,
            lease_s=section.lease_s,
            poll_s=section.refresh_s,
            observer=observer,
        )

    async def validate(job: Job) -> None:
        await assessment.validate(job)
        evaluating.wake()  # there is its evaluation now

    evaluating = working({JobKind.EVALUATE: assessment.evaluate})
    # Neither waits behind an evaluation, which may take half an hour.
    validating = working({JobKind.VALIDATE: validate})
    clearing = working({JobKind.PUBLISH: assessment.abandon})
    workers = (validating, evaluating, clearing)
    leavings = Leavings(records, feed, every_s=section.lease_s)
    mover = LabelMover(
        records,
        fleet,
        live,
        labels,
        newcomers,
        prepare_timeout_s=section.prepare_timeout_s,
        quorum=section.quorum,
    )
    publisher = Publisher(records, mover, assessment.check, owner=owner, lease_s=section.lease_s)
    vigil = Vigil(records, signatures, lambda: labels.answering, observer)
    restorer = Restorer(records, mover, assessment.check, vigil.glance)

    async def drop_uploads(before: datetime) -> int:
        return await uploads.collect((datetime.now(UTC) - before).total_seconds())

    registry = Registry(
        records,
        Intake(
            uploads,
            store,
            records,
            checkers.known,
            whole,
            warm=checkers.warm,
            max_tenant_bytes=section.max_tenant_bytes,
        ),
        publisher,
        restorer,
        Garbage(
            records,
            store,
            drop_uploads,
            retention=timedelta(days=section.retention_days),
            upload_age=timedelta(hours=section.upload_hours),
            observer=observer,
        ),
        feed,
        (validating, evaluating),
        Witness(warden.watch, shadow.offer, ratings_per_key=section.canary.ratings_per_key),
        mover.own,
        mover.known,
    )
    try:
        await labels.begin()
        # Experts that were made elsewhere answer the first question too.
        await newcomers.complete()
        doing = (leavings.run, *(worker.run for worker in workers))
        async with _beside(
            labels.follow, newcomers.follow, warden.run, shadow.run, vigil.run, mover.run, *doing
        ):
            yield registry
    finally:
        await records.close()


def _shadow(
    settings: Settings,
    live: LiveCatalog,
    backends: Mapping[str, Backend],
    watch: CanaryWatch,
    observer: Observer,
) -> Shadow:
    """Put together what asks shadows.

    Raises:
        ConfigError: When the judge is no expert.
    """
    section = settings.registry.canary
    dispatch = Dispatch(backends)
    judge = section.judge and Judge(section.judge, dispatch, live, wait_s=section.shadow_timeout_s)
    return Shadow(
        section, dispatch, settings.guard.simplified, watch, observer.adapter_copied, judge or None
    )


@asynccontextmanager
async def _beside(*loops: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Follow labels, do jobs, watch canaries, ask shadows: as long as the context lasts."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop()) for loop in loops]
        try:
            yield
        except Exception as error:  # a group would wrap it, and hide what it is
            failure = error
        finally:
            for task in tasks:
                task.cancel()
    if failure is not None:
        raise failure
