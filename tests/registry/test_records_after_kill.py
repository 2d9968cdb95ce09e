"""A process that is killed while it moves labels leaves them valid, and loses nothing it told."""

import random
import subprocess
import sys
from pathlib import Path

from tame_router.config import StoreSettings
from tame_router.registry.records.record_store import RecordStore
from tame_router.registry.state import State
from tame_router.store import Database
from tests.registry.known import FOLDER

KILLS = 4

PROGRAM = """
import sys
from pathlib import Path
from tame_router.config import StoreSettings
from tame_router.registry.records.record_store import RecordStore
from tame_router.store import Database
from tests.registry.known import approve, publish, rollback
store = RecordStore(Database(StoreSettings(), Path(sys.argv[1])))
for number in range(10_000):
    label = publish(store, approve(store, f"{sys.argv[2]} {number}"), 0.1 if number % 3 else None)
    print(label.generation, flush=True)
    previous = store.previous("legal")
    if previous is not None and number % 4 == 3:
        print(rollback(store, previous).generation, flush=True)
"""


def killed(state_dir: Path, life: int, lines: int) -> int:
    """Let a process publish and roll back until it has told so often, and kill it.

    Returns:
        The generation that it told last.
    """
    command = [sys.executable, "-c", PROGRAM, str(state_dir), str(life)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.readlines()
    return int([line for line in told if line.endswith("\n")][-1])


def test_a_kill_leaves_labels_valid(tmp_path: Path) -> None:
    """Label, history and states agree whenever it comes, and what was told has happened."""
    chance = random.Random(5)
    for life in range(KILLS):
        told = killed(tmp_path, life, chance.randint(1, 12))
        database = Database(StoreSettings(), tmp_path)
        store = RecordStore(database)
        label = store.label("legal")
        changes, _ = store.history("legal", 10_000)
        assert told <= label.generation == len(changes) == store.generation()
        assert changes[0].label == label
        active = store.list(states={State.ACTIVE}, limit=1000)[0]
        assert {record.name for record in active} == {label.live, label.canary} - {"", FOLDER}
        steps = store.changes(0, limit=100_000)
        assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
        database.close()
