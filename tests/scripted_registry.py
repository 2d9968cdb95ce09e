"""A registry in memory: real bytes and values, and faults where a test says so."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Self

from tame_router.admission.caller import Caller
from tame_router.errors import ExpertNotFoundError, RevisionNotFoundError
from tame_router.errors_registry import LabelMovedError, NothingToRestoreError, UploadError
from tame_router.registry.manifest import make_manifest
from tame_router.registry.record import (
    ROUTER,
    Action,
    Actor,
    Label,
    RevisionRecord,
    StateChange,
)
from tame_router.registry.request import (
    Announcement,
    Checked,
    Collected,
    HistoryPage,
    Page,
    Publication,
    Published,
    Wanted,
)
from tame_router.registry.state import Event, State
from tame_router.tenancy.tenant import Scope
from tests.scripted_life import TRIED, Life
from tests.scripted_upload import Script, ScriptedUpload, Staged


class ScriptedRegistry:
    """Keeps revisions in memory.

    Args:
        experts: Those there are.

    Attributes:
        opened: Announcements so far, resumed ones included.
    """

    def __init__(self, *experts: str) -> None:
        self.opened: list[Announcement] = []
        self._life = Life(*experts)
        self._news = asyncio.Condition()
        self._staged: dict[Announcement, Staged] = {}
        self._done: dict[str, Published | Label] = {}

    @property
    def script(self) -> Script:
        """What goes wrong."""
        return self._life.script

    @property
    def records(self) -> dict[str, RevisionRecord]:
        """All revisions, by name, the oldest first."""
        return self._life.records

    @property
    def content(self) -> dict[str, dict[str, bytes]]:
        """The bytes of each revision's files, by name and path."""
        return self._life.content

    @asynccontextmanager
    async def uploading(
        self, caller: Caller, peer: str, announced: Announcement, *, dry: bool = False
    ) -> AsyncIterator[ScriptedUpload]:
        """Open an upload, or go on with one."""
        self._may(caller, announced.expert)
        self.opened.append(announced)
        refused = self.script.refusal
        if refused and not dry:
            codes = ",".join(finding.reason for finding in refused)
            raise UploadError(refused[0].message, metadata={"findings": codes})
        fresh = Staged(announced, [bytearray() for _ in announced.files])
        staged = fresh if dry else self._staged.setdefault(announced, fresh)
        staged.forget()

        async def finish() -> RevisionRecord | Checked:
            for file, content in zip(announced.files, staged.content, strict=True):
                if hashlib.sha256(content).hexdigest() != file.sha256:
                    raise UploadError(f"{file.path} is not what was announced")
            if dry:
                name = make_manifest(announced.files).name(announced.expert)
                return Checked(name=name, findings=refused)
            del self._staged[announced]
            made = self._life.add(_actor(caller, peer), announced, staged.files())
            await self._tell()
            return made

        yield ScriptedUpload(self.script, staged, finish)

    async def revision(self, caller: Caller, name: str) -> RevisionRecord:
        """Give a revision."""
        return self._known(caller, name)

    async def revisions(self, caller: Caller, wanted: Wanted) -> Page:
        """Give a page; the token is the number of the first one on the next."""
        _require(caller)
        found = [
            replace(record, report="")
            for record in reversed(self.records.values())
            if wanted.expert in {"", record.expert}
            and (not wanted.states or record.state in wanted.states)
            and _may_publish(caller, record.expert)
        ]
        begin = int(wanted.page_token or 0)
        page = found[begin : begin + wanted.page_size]
        end = begin + len(page)
        return Page(
            records=tuple(page),
            next_page_token=str(end) if end < len(found) else "",
            labels=tuple(self._life.labels[expert] for expert in sorted({r.expert for r in page})),
        )

    async def evaluate(
        self, caller: Caller, peer: str, name: str, request_id: str
    ) -> RevisionRecord:
        """Evaluate again."""
        self._known(caller, name)
        found = self._life.happen(name, Event.EVALUATE, _actor(caller, peer), "asked for")
        if found.state is State.VALIDATING:
            self._life.happen(name, Event.VALIDATED, ROUTER, "its files are in order")
        if not self.script.hold:
            self._life.decide(name)
        await self._tell()
        return found

    async def publish(self, caller: Caller, peer: str, publication: Publication) -> Published:
        """Publish, once for each request id."""
        record = self._known(caller, publication.name)
        known = self._done.get(publication.request_id)
        if isinstance(known, Published):
            return known
        if self.script.publish_with:
            raise self.script.publish_with
        label = self._life.labels[record.expert]
        if publication.expected_generation not in {None, label.generation}:
            raise LabelMovedError(f"the label is at generation {label.generation}")
        actor = _actor(caller, peer)
        record = self._life.happen(record.name, Event.PUBLISH, actor, "published")
        if record.state is State.PUBLISHING:
            record = self._life.happen(record.name, Event.PREPARED, ROUTER, "all replicas answered")
        share = publication.canary_share
        if share is None:
            moved = self._life.move(label, Action.PUBLISH, actor, "", live=record.name)
            if label.live:
                self._life.happen(
                    label.live, Event.REPLACED, ROUTER, f"{record.name} took its place"
                )
        else:
            action, mode = TRIED[publication.shadow]
            moved = self._life.move(
                label, action, actor, "", canary=record.name, share=share, mode=mode
            )
        done = self._done[publication.request_id] = Published(label=moved, record=record)
        await self._tell()
        return done

    async def rollback(
        self, caller: Caller, peer: str, expert: str, revision: str, request_id: str, because: str
    ) -> Label:
        """Go back."""
        self._may(caller, expert)
        label = self._life.labels[expert]
        earlier = [move.live_before for move in self._life.moves if move.label.expert == expert]
        back = label.live if label.canary else revision or (earlier or [""])[-1]
        if not back:
            raise NothingToRestoreError(f"{expert} has no earlier revision")
        self._life.happen(label.canary or label.live, Event.REPLACED, ROUTER, "rolled back")
        if not label.canary:
            self._life.happen(back, Event.PUBLISH, ROUTER, "rolled back to")
            self._life.happen(back, Event.PREPARED, ROUTER, "rolled back to")
        await self._tell()
        return self._life.move(label, Action.ROLLBACK, _actor(caller, peer), because, live=back)

    async def retire(self, caller: Caller, peer: str, name: str) -> RevisionRecord:
        """Withdraw."""
        self._known(caller, name)
        record = self._life.happen(name, Event.RETIRE, _actor(caller, peer), "withdrawn")
        self.records[name] = record = replace(record, withdrawn=True)
        await self._tell()
        return record

    async def history(
        self, caller: Caller, expert: str, page_size: int, page_token: str
    ) -> HistoryPage:
        """Give a page of moves; the token is as that of `revisions`."""
        self._may(caller, expert)
        moves = [move for move in reversed(self._life.moves) if move.label.expert == expert]
        begin = int(page_token or 0)
        page = moves[begin : begin + page_size]
        end = begin + len(page)
        token = str(end) if end < len(moves) else ""
        return HistoryPage(
            changes=tuple(page), next_page_token=token, label=self._life.labels[expert]
        )

    @asynccontextmanager
    async def watching(
        self, caller: Caller, name: str, expert: str, after_sequence: int | None
    ) -> AsyncIterator[AsyncIterator[tuple[StateChange, RevisionRecord]]]:
        """Open the changes."""
        if name:
            self._known(caller, name)
        if after_sequence is None:
            present = [change.sequence for change in self._life.changes if change.revision == name]
            after_sequence = present[-1] - 1 if present else len(self._life.changes)
        yield _Changes(self, name, expert, after_sequence)

    async def next_change(
        self, name: str, expert: str, after: int
    ) -> tuple[StateChange, RevisionRecord]:
        """Wait for the first change behind another."""
        while True:
            for change in self._life.changes[after:]:
                record = self.records[change.revision]
                if name in {"", change.revision} and expert in {"", record.expert}:
                    return change, replace(record, state=change.state, report="")
            async with self._news:
                await self._news.wait()

    async def collect(self, caller: Caller, peer: str, *, dry_run: bool) -> Collected:
        """Remove the bytes of what is rejected or retired."""
        caller.principal.require(Scope.ADMIN)
        gone = [n for n, r in self.records.items() if r.state in {State.REJECTED, State.RETIRED}]
        kept = {name: self.content[name] for name in gone if name in self.content}
        freed = sum(len(data) for files in kept.values() for data in files.values())
        uploads = len(self._staged)
        if not dry_run:
            self._staged.clear()
            for name in kept:
                del self.content[name]
        return Collected(revisions=tuple(sorted(kept)), freed_bytes=freed, uploads=uploads)

    async def prove(self, expert: str) -> None:
        """Find an expert's shadow good, as the router itself does."""
        self._life.prove(expert)
        await self._tell()

    async def decide(self, name: str) -> None:
        """Let the gate say what the script says, for a revision that was held."""
        self._life.decide(name)
        await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _known(self, caller: Caller, name: str) -> RevisionRecord:
        _require(caller)
        record = self.records.get(name)
        if record is None or not _may_publish(caller, record.expert):
            raise RevisionNotFoundError(f"there is no revision {name!r} that the caller may use")
        return record

    def _may(self, caller: Caller, expert: str) -> None:
        _require(caller)
        if not _may_publish(caller, expert):
            raise ExpertNotFoundError(f"there is no expert {expert!r} that the caller may use")


def _require(caller: Caller) -> None:
    if Scope.ADMIN not in caller.principal.scopes:
        caller.principal.require(Scope.PUBLISH)


def _may_publish(caller: Caller, expert: str) -> bool:
    scopes = caller.principal.scopes
    granted = {"*", expert} & caller.tenant.publish
    return Scope.ADMIN in scopes or (Scope.PUBLISH in scopes and bool(granted))


def _actor(caller: Caller, peer: str) -> Actor:
    principal = caller.principal
    return Actor(tenant=principal.tenant, subject=principal.subject, peer=peer)


class _Changes:
    """Iterates the changes behind one."""

    def __init__(self, registry: ScriptedRegistry, name: str, expert: str, after: int) -> None:
        self._registry = registry
        self._wanted = (name, expert)
        self._after = after

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[StateChange, RevisionRecord]:
        change, record = await self._registry.next_change(*self._wanted, self._after)
        self._after = change.sequence
        return change, record
