"""Whatever is done to the records, in whatever order, label, history and states agree."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tame_router.config import StoreSettings
from tame_router.errors import RequestError
from tame_router.errors_registry import RegistryError
from tame_router.registry.record import Label, RevisionRecord
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.records.revision_records import LABELS_OWN
from tame_router.registry.state import TRANSITIONS, Event, State
from tame_router.store import Database
from tests.registry.known import FOLDER, PARTNER, Clock, revision

EXPERTS = ("legal", "code")
REVISIONS = tuple(revision(seed, expert) for expert in EXPERTS for seed in "abc")
NAMES = st.sampled_from([known.name for known in REVISIONS])
EVENTS = st.sampled_from(sorted(set(Event) - LABELS_OWN - {Event.RETIRE}))
STEPS = {(None, State.VALIDATING)} | {(before, after) for (before, _), after in TRANSITIONS.items()}


class Records(RuleBasedStateMachine):
    """Does anything to a store; what it refuses must leave no trace."""

    @initialize()
    def open(self) -> None:
        """Begin with an empty store."""
        self.folder = TemporaryDirectory()
        self.database = Database(StoreSettings(), Path(self.folder.name))
        self.store = RecordStore(self.database, Clock())

    def teardown(self) -> None:
        """Throw the store away."""
        self.database.close()
        self.folder.cleanup()

    @rule(known=st.sampled_from(REVISIONS))
    def add(self, known: RevisionRecord) -> None:
        """Bring a revision."""
        self._try("add", known, PARTNER, "")

    @rule(name=NAMES, event=EVENTS)
    def happen(self, name: str, event: Event) -> None:
        """Let something happen to one."""
        self._try("happen", name, event, PARTNER, "")

    @rule(name=NAMES, method=st.sampled_from(["withdraw", "mark_removed"]))
    def set_aside(self, name: str, method: str) -> None:
        """Withdraw one, or collect its bytes."""
        self._try(method, name, *([PARTNER, ""] if method == "withdraw" else []))

    @rule(known=st.sampled_from(REVISIONS), share=st.none() | st.just(0.2))
    def go_live(self, known: RevisionRecord, share: float | None) -> None:
        """Bring one as far as it gets."""
        self._try("add", known, PARTNER, "")
        for event in (Event.VALIDATED, Event.PASSED, Event.PUBLISH):
            self._try("happen", known.name, event, PARTNER, "")
        self._try("publish", known.name, share, FOLDER, None, PARTNER, "")

    @rule(
        name=NAMES,
        share=st.none() | st.sampled_from([0.1, 0.5]),
        generation=st.none() | st.integers(0, 3),
    )
    def publish(self, name: str, share: float | None, generation: int | None) -> None:
        """Publish one, or let it be a canary."""
        self._try("publish", name, share, FOLDER, generation, PARTNER, "")

    @rule(
        expert=st.sampled_from(EXPERTS),
        anything=NAMES | st.sampled_from([FOLDER, ""]),
        data=st.data(),
    )
    def rollback(self, expert: str, anything: str, data: st.DataObject) -> None:
        """Roll an expert back to what was live once, or is, which ends a canary; or to anything."""
        changes, _ = self.store.history(expert)
        lives = {change.live_before for change in changes} | {c.label.live for c in changes}
        to = data.draw(st.sampled_from([*sorted(lives), anything]))
        generation = data.draw(st.none() | st.integers(0, 9))
        self._try("rollback", expert, to, FOLDER, generation, PARTNER, "")

    @rule(expert=st.sampled_from(EXPERTS))
    def back(self, expert: str) -> None:
        """Roll an expert back to the one before, which must work where there is one."""
        previous = self.store.previous(expert)
        if previous is not None:
            label = self.store.rollback(expert, previous, FOLDER, None, PARTNER, "")
            assert (label.live, label.canary) == (previous, "")

    def _try(self, method: str, *arguments: object) -> None:
        before = self._all()
        try:
            getattr(self.store, method)(*arguments)
        except (RegistryError, RequestError):
            assert self._all() == before

    def _all(self) -> object:
        return (
            self.store.list(limit=100),
            self.store.changes(0),
            self.store.labels(),
            [self.store.history(expert) for expert in EXPERTS],
        )

    @invariant()
    def labels_name_what_is_active(self) -> None:
        """A label names active revisions, the folder's, or none; no other revision is active."""
        named = set()
        for label in self.store.labels().values():
            named |= {label.live, label.canary}
        active = {record.name for record in self.store.list(states={State.ACTIVE})[0]}
        assert named - {FOLDER, ""} == active

    @invariant()
    def history_ends_with_the_label(self) -> None:
        """It has one entry for each generation, and each begins where the last one ended."""
        moves = 0
        for expert in EXPERTS:
            changes, _ = self.store.history(expert)
            label = self.store.label(expert)
            moves += label.generation
            assert len(changes) == label.generation
            assert (changes[0].label if changes else Label(expert=expert)) == label
            for newer, older in pairwise(changes):
                assert newer.live_before == older.label.live
                assert newer.label.generation == older.label.generation + 1
        assert self.store.generation() == moves

    @invariant()
    def states_move_along_the_table(self) -> None:
        """Each revision's changes are a path through the table, which ends at its state.

        That its bytes went, or came back, is on that path, and moves nothing.
        """
        changes = self.store.changes(0)
        assert [change.sequence for change in changes] == list(range(1, len(changes) + 1))
        for record in self.store.list(limit=100)[0]:
            at = None
            for change in changes:
                if change.revision == record.name:
                    assert change.before == at
                    bytes_alone = change.because.startswith("its bytes were")
                    stays = change.before is change.state
                    assert (change.before, change.state) in STEPS or (bytes_alone and stays)
                    at = change.state
            assert at == record.state
            assert not (record.withdrawn and record.state is not State.RETIRED)
            if record.removed:
                assert record.state in {State.RETIRED, State.REJECTED}


def test_label_history_and_states_agree_always() -> None:
    """After any sequence of steps, allowed or refused."""
    run_state_machine_as_test(Records, settings=settings(max_examples=15, stateful_step_count=50))
