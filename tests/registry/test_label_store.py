"""A label moves together with the states of its revisions, and its history tells every move."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tame_router.config import StoreSettings
from tame_router.errors import InvalidRequestError, RevisionNotFoundError
from tame_router.errors_registry import (
    InvalidTransitionError,
    LabelMovedError,
    NothingToRestoreError,
    RevisionRefusedError,
)
from tame_router.registry.record import Action, Label
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import Event, State
from tame_router.store import Database
from tests.registry.known import FOLDER, PARTNER, Clock, add, approve, publish, rollback


@pytest.fixture
def store(database: Database) -> RecordStore:
    """Give an empty store; the test runs once on each kind of database."""
    return RecordStore(database, Clock())


def state(store: RecordStore, name: str) -> State:
    """Give a revision's state."""
    record = store.get(name)
    assert record is not None
    return record.state


def test_publishing_moves_label_and_states_together(
    store: RecordStore, store_settings: StoreSettings, tmp_path: Path
) -> None:
    """The new one answers, the one before is retired, and the history has both moves."""
    assert store.label("legal") == Label(expert="legal")
    first, second = approve(store), approve(store, "b")
    label = publish(store, first)
    assert (label.live, label.generation) == (first, 1)
    assert state(store, first) is State.ACTIVE
    label = publish(store, second, generation=1)
    assert label == store.label("legal")
    assert (label.live, label.canary, label.generation) == (second, "", 2)
    assert (state(store, first), state(store, second)) == (State.RETIRED, State.ACTIVE)
    changes, token = store.history("legal")
    assert token == ""
    assert changes[0].label == label
    assert [(c.label.live, c.live_before, c.action) for c in changes] == [
        (second, first, Action.PUBLISH),
        (first, FOLDER, Action.PUBLISH),
    ]
    assert (changes[0].actor, changes[0].because) == (PARTNER, "ready")
    other = Database(store_settings, tmp_path)
    assert RecordStore(other).labels() == {"legal": label}
    other.close()


def test_every_move_grows_the_generations(store: RecordStore) -> None:
    """The label's own, and the one that tells whether any label has moved."""
    assert store.generation() == 0
    publish(store, approve(store))
    publish(store, approve(store, "b", "code"))
    assert store.generation() == 2
    assert {label.generation for label in store.labels().values()} == {1}
    add(store, "c")
    assert store.generation() == 2


def test_a_canary_answers_beside_the_live_one_until_it_ends(store: RecordStore) -> None:
    """Its share can change, another takes its place, and a rollback to the live one ends it."""
    live, first, second = approve(store), approve(store, "b"), approve(store, "c")
    publish(store, live)
    label = publish(store, first, 0.1)
    assert (label.live, label.canary, label.canary_share) == (live, first, 0.1)
    assert publish(store, first, 0.5).canary_share == 0.5
    assert (state(store, live), state(store, first)) == (State.ACTIVE, State.ACTIVE)
    assert publish(store, second, 0.2).canary == second
    assert state(store, first) is State.RETIRED
    label = rollback(store, live)
    assert (label.live, label.canary, label.canary_share, label.generation) == (live, "", 0.0, 5)
    assert (state(store, live), state(store, second)) == (State.ACTIVE, State.RETIRED)
    actions = [change.action for change in store.history("legal")[0]]
    assert actions == [Action.ROLLBACK, *[Action.CANARY] * 3, Action.PUBLISH]


def test_a_canary_becomes_live_for_all(store: RecordStore) -> None:
    """It stays active, and that it now answers all is a change that watchers see."""
    live, canary = approve(store), approve(store, "b")
    publish(store, live)
    publish(store, canary, 0.1)
    before = store.sequence()
    label = publish(store, canary)
    assert (label.live, label.canary) == (canary, "")
    assert (state(store, live), state(store, canary)) == (State.RETIRED, State.ACTIVE)
    assert [(change.revision, change.state) for change in store.changes(before)] == [
        (canary, State.ACTIVE),
        (live, State.RETIRED),
    ]


def test_a_canary_beside_what_the_folder_says(store: RecordStore) -> None:
    """The label then names what was live without a record."""
    label = publish(store, approve(store), 0.3)
    assert (label.live, label.generation) == (FOLDER, 1)
    assert rollback(store, FOLDER).live == FOLDER


def test_what_a_label_names_is_not_withdrawn(store: RecordStore) -> None:
    """Also where it came with the folder, and its record is not active."""
    twin = approve(store)
    canary = approve(store, "b")
    store.happen(canary, Event.PUBLISH, PARTNER, "")
    store.publish(canary, 0.1, twin, None, PARTNER, "")
    for name in (twin, canary):
        with pytest.raises(InvalidTransitionError, match="answers for legal now; roll back first"):
            store.withdraw(name, PARTNER, "")
    store.rollback("legal", twin, "", None, PARTNER, "")
    assert store.withdraw(canary, PARTNER, "").withdrawn


def test_publishing_what_is_so_already_changes_nothing(store: RecordStore) -> None:
    """A call that is sent again gives the label as it is."""
    name = approve(store)
    label = publish(store, name)
    assert publish(store, name) == label
    assert store.generation() == 1


@pytest.mark.parametrize(("shadow", "word"), [(False, "canary"), (True, "shadow")])
def test_what_is_live_is_not_tried_beside_itself(
    store: RecordStore, shadow: bool, word: str
) -> None:
    """A rollback is advised where it ends what is tried, and never where it would go further."""
    live, canary = approve(store), approve(store, "b")
    publish(store, live)
    with pytest.raises(InvalidTransitionError, match=f"as a {word} beside itself") as caught:
        store.publish(live, 0.1, FOLDER, None, PARTNER, "", shadow=shadow)
    assert "rollback" not in caught.value.message
    publish(store, canary, 0.1)
    with pytest.raises(InvalidTransitionError, match=f"{canary} is tried .* a rollback ends that"):
        store.publish(live, 0.1, FOLDER, None, PARTNER, "", shadow=shadow)


def test_a_refused_move_leaves_all_as_it_was(store: RecordStore) -> None:
    """Whether by the state, the share, the generation, or since it was withdrawn."""
    name = approve(store)
    with pytest.raises(InvalidTransitionError):
        store.publish(name, None, FOLDER, None, PARTNER, "")
    for share in (0.0, 0.0009, 1.0, -1.0, float("nan")):
        with pytest.raises(InvalidRequestError, match="canary_share is"):
            publish(store, name, share)
        store.happen(name, Event.ABORTED, PARTNER, "")
    with pytest.raises(LabelMovedError, match="generation 0, not 3") as caught:
        publish(store, name, generation=3)
    assert caught.value.metadata == {"expert": "legal", "generation": "0"}
    assert state(store, name) is State.PUBLISHING
    assert store.label("legal") == Label(expert="legal")
    assert store.history("legal") == ([], "")
    assert store.generation() == 0


def test_of_two_publishers_who_saw_the_same_label_one_wins(store: RecordStore) -> None:
    """The other learns that the label moved, and its revision does not answer."""
    names = [approve(store, seed) for seed in "abcd"]
    for name in names:
        store.happen(name, Event.PUBLISH, PARTNER, "")

    def move(name: str) -> bool:
        try:
            store.publish(name, None, FOLDER, 0, PARTNER, "")
        except LabelMovedError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(move, names))
    assert sum(won) == 1
    assert store.label("legal").live == names[won.index(True)]
    assert [state(store, name) for name in names].count(State.ACTIVE) == 1


def test_a_rollback_restores_what_was_live(store: RecordStore) -> None:
    """States follow, and the steps are those of the table."""
    first, second = approve(store), approve(store, "b")
    publish(store, first)
    publish(store, second)
    before = store.sequence()
    label = rollback(store, first, 2)
    assert (label.live, label.generation) == (first, 3)
    assert [(c.revision, c.before, c.state) for c in store.changes(before)] == [
        (first, State.RETIRED, State.PUBLISHING),
        (first, State.PUBLISHING, State.ACTIVE),
        (second, State.ACTIVE, State.RETIRED),
    ]
    assert rollback(store, FOLDER).live == FOLDER
    assert state(store, first) is State.RETIRED
    store.happen(second, Event.PUBLISH, PARTNER, "made ready first")
    assert rollback(store, second).live == second
    assert state(store, second) is State.ACTIVE


def test_a_rollback_to_the_canary_that_was_live(store: RecordStore) -> None:
    """It is active already and answers all again."""
    first, second = approve(store), approve(store, "b")
    publish(store, first)
    publish(store, second)
    publish(store, first, 0.1)
    label = rollback(store, first)
    assert (label.live, label.canary) == (first, "")
    assert (state(store, first), state(store, second)) == (State.ACTIVE, State.RETIRED)


def test_what_was_never_live_is_not_restored(store: RecordStore) -> None:
    """Nor what is live, another expert's, or what may not answer again."""
    first, second = approve(store), approve(store, "b")
    foreign = approve(store, "c", "code")
    with pytest.raises(NothingToRestoreError, match="answers for legal already"):
        rollback(store, FOLDER)
    publish(store, first)
    with pytest.raises(NothingToRestoreError, match="was never live for legal"):
        rollback(store, second)
    with pytest.raises(NothingToRestoreError, match="base model without adapter was never"):
        rollback(store, "")
    with pytest.raises(RevisionNotFoundError, match="legal has no revision"):
        rollback(store, foreign)
    publish(store, second)
    with pytest.raises(LabelMovedError):
        rollback(store, first, 1)
    store.withdraw(first, PARTNER, "")
    with pytest.raises(RevisionRefusedError, match="was withdrawn"):
        rollback(store, first)
    assert store.label("legal").generation == 2


def test_the_previous_one_is_found_by_the_history(store: RecordStore) -> None:
    """Two rollbacks go two steps back, over what may not answer again, and then no further."""
    assert store.previous("legal") is None
    names = [approve(store, seed) for seed in "abc"]
    for name in names:
        publish(store, name)
    assert store.previous("legal") == names[1]
    store.withdraw(names[1], PARTNER, "")
    assert store.previous("legal") == names[0]
    rollback(store, names[0])
    assert store.previous("legal") == FOLDER
    publish(store, names[2], 0.1)
    assert store.previous("legal") == FOLDER
    publish(store, names[2])
    assert store.previous("legal") == names[0]
    rollback(store, FOLDER)
    assert store.previous("legal") is None


def test_an_expert_that_had_no_adapter_can_go_back_to_none(store: RecordStore) -> None:
    """The base model without adapter is what was live before its first revision."""
    name = approve(store)
    store.happen(name, Event.PUBLISH, PARTNER, "")
    store.publish(name, None, "", None, PARTNER, "")
    assert store.previous("legal") == ""
    assert store.rollback("legal", "", "", None, PARTNER, "").live == ""
    assert state(store, name) is State.RETIRED


def test_what_the_folder_brings_may_be_uploaded_too(store: RecordStore) -> None:
    """Its record does not become active by being live; one that was rejected is not restored."""
    twin, rejected, new = approve(store), add(store, "b"), approve(store, "c")
    store.happen(new, Event.PUBLISH, PARTNER, "")
    store.publish(new, None, twin, None, PARTNER, "")
    assert state(store, twin) is State.APPROVED
    assert store.rollback("legal", twin, "", None, PARTNER, "").live == twin
    assert state(store, twin) is State.ACTIVE
    other = approve(store, "d", "code")
    store.happen(other, Event.PUBLISH, PARTNER, "")
    store.publish(other, None, rejected, None, PARTNER, "")
    store.happen(rejected, Event.FAILED, PARTNER, "")
    assert store.previous("code") is None
    with pytest.raises(RevisionRefusedError, match="was rejected"):
        store.rollback("code", rejected, "", None, PARTNER, "")


def test_history_comes_in_pages(store: RecordStore) -> None:
    """The newest first, each move once."""
    for seed in "abcde":
        publish(store, approve(store, seed))
    page, token = store.history("legal", 2)
    assert [change.label.generation for change in page] == [5, 4]
    page, token = store.history("legal", 3, token)
    assert ([change.label.generation for change in page], token) == ([3, 2, 1], "")
    with pytest.raises(InvalidRequestError):
        store.history("legal", 2, "last")
