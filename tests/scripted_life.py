"""What a scripted registry knows of revisions and labels, in memory."""

from dataclasses import replace
from datetime import UTC, datetime

from tame_router.registry.manifest import make_manifest
from tame_router.registry.record import (
    ROUTER,
    Action,
    Actor,
    Label,
    LabelChange,
    Mode,
    RevisionRecord,
    StateChange,
)
from tame_router.registry.request import Announcement
from tame_router.registry.state import Event, State, next_state
from tests.scripted_upload import Script

TRIED = {False: (Action.CANARY, Mode.ANSWERING), True: (Action.SHADOW, Mode.SHADOW)}
"""How what is published to a share is tried, by whether it is a shadow."""


class Life:
    """Revisions, labels, and how they changed.

    Args:
        experts: Those there are.

    Attributes:
        script: What goes wrong.
        records: All revisions, by name, the oldest first.
        content: The bytes of each revision's files, by name and path.
        labels: By expert.
        moves: Of all labels, the oldest first.
        changes: Of all states, the oldest first.
    """

    def __init__(self, *experts: str) -> None:
        self.script = Script()
        self.records: dict[str, RevisionRecord] = {}
        self.content: dict[str, dict[str, bytes]] = {}
        self.labels = {expert: Label(expert=expert) for expert in experts}
        self.moves: list[LabelChange] = []
        self.changes: list[StateChange] = []

    def decide(self, name: str) -> None:
        """Let the gate say what the script says."""
        fatal = any(finding.fatal for finding in self.script.verdict)
        self.records[name] = replace(
            self.records[name], findings=self.script.verdict, report=self.script.report
        )
        event = Event.FAILED if fatal else Event.PASSED
        self.happen(name, event, ROUTER, "the gate has spoken")

    def prove(self, expert: str) -> None:
        """Find an expert's shadow good."""
        label = self.labels[expert]
        name, share, mode = label.canary, label.canary_share, Mode.PROVEN
        because = f"{name} is not clearly worse"
        self.happen(name, Event.PROVE, ROUTER, because)
        self.move(label, Action.PROVE, ROUTER, because, canary=name, share=share, mode=mode)

    def add(
        self, actor: Actor, announced: Announcement, content: dict[str, bytes]
    ) -> RevisionRecord:
        """Keep a revision, and let its files pass; the same bytes are the same revision."""
        manifest = make_manifest(announced.files)
        name = manifest.name(announced.expert)
        if name in self.records:
            return self.records[name]
        self.content[name] = content
        now = datetime.now(UTC)
        self.records[name] = record = RevisionRecord(
            name=name,
            expert=announced.expert,
            digest=manifest.digest,
            manifest=manifest,
            state=State.VALIDATING,
            tenant=actor.tenant,
            subject=actor.subject,
            create_time=now,
            update_time=now,
        )
        self._note(record, None, actor, "uploaded")
        self.happen(name, Event.VALIDATED, ROUTER, "its files are in order")
        if not self.script.hold:
            self.decide(name)
        return record

    def happen(self, name: str, event: Event, actor: Actor, because: str) -> RevisionRecord:
        """Let something happen to a revision."""
        old = self.records[name]
        state = next_state(old.state, event)
        self.records[name] = record = replace(old, state=state, update_time=datetime.now(UTC))
        self._note(record, old.state, actor, because)
        return record

    def _note(
        self, record: RevisionRecord, before: State | None, actor: Actor, because: str
    ) -> None:
        self.changes.append(
            StateChange(
                sequence=len(self.changes) + 1,
                revision=record.name,
                before=before,
                state=record.state,
                actor=actor,
                because=because,
                create_time=record.update_time,
            )
        )

    def move(
        self,
        label: Label,
        action: Action,
        actor: Actor,
        because: str,
        *,
        live: str | None = None,
        canary: str = "",
        share: float = 0.0,
        mode: Mode = Mode.ANSWERING,
    ) -> Label:
        """Move a label."""
        now = datetime.now(UTC)
        moved = Label(
            expert=label.expert,
            live=label.live if live is None else live,
            canary=canary,
            canary_share=share,
            mode=mode,
            generation=label.generation + 1,
            update_time=now,
        )
        change = LabelChange(
            label=moved,
            live_before=label.live,
            action=action,
            actor=actor,
            because=because,
            create_time=now,
        )
        self.labels[label.expert] = moved
        self.moves.append(change)
        return moved
