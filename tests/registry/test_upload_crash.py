"""A process that dies while it receives loses nothing that it acknowledged."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.registry.revision_folder import FILES, lying
from tests.registry.upload_trial import Trial, announce, send

pytestmark = pytest.mark.anyio

DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from tame_router.registry.uploading import staging
from tests.registry.upload_trial import Trial, announce, chunks_of

staging.FLUSH_BYTES = 200_000
calls = 0

def audit(event, arguments):
    global calls
    if event in ("open", "os.mkdir", "os.utime", "fcntl.flock", "os.rmdir", "os.remove"):
        calls += 1
        if calls == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)

async def main():
    trial = Trial(Path(sys.argv[2]))
    sys.addaudithook(audit)
    async with trial.uploads.receiving("acme", announce()) as upload:
        print(upload.progress.received_bytes, flush=True)
        for chunk in chunks_of(at=upload.progress, size=100_000):
            told = await upload.write(chunk)
            if told:
                print(told.received_bytes, flush=True)
            if chunk.offset == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
        await upload.finish()
        print(upload.progress.received_bytes, flush=True)
        upload.discard()
        print("discarded", flush=True)

asyncio.run(main())
"""


def die(folder: Path, at_call: int, at_offset: int, before: int) -> int:
    """Receive in a process that dies, and give what is acknowledged then, `before` included."""
    command = [sys.executable, "-c", DYING, str(at_call), str(folder), str(at_offset)]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode in {0, -9}, run.stderr
    if "discarded" in run.stdout:
        return 0
    return max(map(int, run.stdout.split()), default=before)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, -500_000, -1_200_000, -2_200_000])
async def test_what_was_acknowledged_is_there_after_a_crash(tmp_path: Path, at: int) -> None:
    """Whenever it is killed, twice over, the next try begins there or later and is complete."""
    acknowledged = 0
    for _ in range(2):
        acknowledged = die(tmp_path / "uploads", max(at, 0), max(-at, 0) or -1, acknowledged)
    trial = Trial(tmp_path / "uploads")
    async with trial.uploads.receiving("acme", announce()) as upload:
        assert upload.progress.received_bytes >= acknowledged
        received = await send(upload)
        assert received.folder is not None
        assert lying(received.folder) == FILES
        upload.discard()
    assert list(trial.folder.iterdir()) == []
