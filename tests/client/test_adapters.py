"""Adapters through the SDK: uploads, what became of them, and what moves a label."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tame_router.client.adapter import RevisionState, UploadProgress
from tame_router.client.adapter_folder import read_folder
from tame_router.client.async_client import AsyncClient
from tame_router.errors import InvalidRequestError, RevisionNotFoundError
from tame_router.errors_registry import (
    LabelMovedError,
    NothingToRestoreError,
    RolloutError,
    StorageUnavailableError,
    UploadError,
    UploadInterruptedError,
)
from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason
from tests.adapter_folder import MIB, write_adapter
from tests.scripted_registry import ScriptedRegistry
from tests.served_registry import serving_registry

pytestmark = pytest.mark.anyio

PICKLE = Finding(reason=Reason.PICKLE_REFUSED, message="a pickle", advice="send none", path="a.bin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of an adapter of a few MiB."""
    return write_adapter(tmp_path / "legal")


@pytest.fixture
def registry() -> ScriptedRegistry:
    """Give a registry of two experts."""
    return ScriptedRegistry("legal", "medical")


@pytest.fixture
async def client(registry: ScriptedRegistry) -> AsyncIterator[AsyncClient]:
    """Give a client of a service over it."""
    async with serving_registry(registry) as address, AsyncClient(address) as opened:
        yield opened


async def test_a_folder_becomes_a_revision(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path
) -> None:
    """Every byte arrives under its path, progress grows to all, and the name follows from them."""
    told: list[UploadProgress] = []
    made = await client.adapters.upload(folder, "legal", progress=told.append)
    assert made.name == f"legal--{made.digest[:16]}"
    assert (made.expert, made.tenant, made.subject) == ("legal", "local", "anyone")
    assert registry.content[made.name] == {
        file.path: (folder / file.path).read_bytes() for file in made.files
    }
    received = [one.received_bytes for one in told]
    assert received == sorted(received)
    assert (received[0], received[-1]) == (0, made.size_bytes)
    assert {one.size_bytes for one in told} == {made.size_bytes}
    assert len(told) > 3
    found = await client.adapters.get(made.name)
    assert (found.state, found.report) == (RevisionState.APPROVED, '{"score": 0.75}')


async def test_the_same_bytes_are_the_same_revision(client: AsyncClient, folder: Path) -> None:
    """Uploaded again, under whatever name of the call, they are found."""
    first = await client.adapters.upload(folder, "legal", request_id="upload-0001")
    second = await client.adapters.upload(folder, "legal", request_id="upload-0002")
    assert first.name == second.name
    assert [r.name for r in (await client.adapters.list()).revisions] == [first.name]


@pytest.mark.parametrize(
    "error",
    [UploadInterruptedError("broke"), StorageUnavailableError("busy", retry_after_s=0.01)],
    ids=lambda error: error.reason,
)
async def test_an_upload_that_breaks_is_taken_up_where_it_broke(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path, error: Exception
) -> None:
    """Twice it breaks with bytes that nobody acknowledged; nothing is lost or sent in vain."""
    registry.script.break_at = [2 * MIB + 1, 3 * MIB]
    registry.script.break_with = lambda: error
    made = await client.adapters.upload(folder, "legal")
    assert len(registry.opened) == 3
    assert registry.content[made.name]["adapter_model.safetensors"] == (
        (folder / "adapter_model.safetensors").read_bytes()
    )


async def test_an_upload_that_makes_no_headway_is_given_up(
    registry: ScriptedRegistry, folder: Path
) -> None:
    """After as many tries in a row as the client has; the error is the last one's."""
    registry.script.break_at = [1] * 9
    registry.script.break_with = lambda: UploadInterruptedError("broke")
    async with (
        serving_registry(registry) as address,
        AsyncClient(address, attempts=3) as client,
    ):
        with pytest.raises(UploadInterruptedError, match="broke"):
            await client.adapters.upload(folder, "legal")
    assert len(registry.opened) == 3


async def test_a_refused_upload_is_not_tried_again(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path
) -> None:
    """The codes of what was found come with the error; a dry run lists it, and keeps nothing."""
    registry.script.refusal = (PICKLE,)
    with pytest.raises(UploadError) as caught:
        await client.adapters.upload(folder, "legal")
    assert caught.value.metadata["findings"] == "PICKLE_REFUSED"
    assert len(registry.opened) == 1
    checked = await client.adapters.validate(folder, "legal")
    assert checked.refused
    assert [(f.reason, f.path, f.fatal) for f in checked.findings] == [
        ("PICKLE_REFUSED", "a.bin", True)
    ]
    registry.script.refusal = ()
    checked = await client.adapters.validate(folder, "legal")
    assert (checked.name[:7], checked.refused) == ("legal--", False)
    assert not registry.records


async def test_a_dry_run_sees_every_byte(client: AsyncClient, folder: Path) -> None:
    """A file that changed after its digest was taken is told."""
    read = read_folder(folder)
    target = folder / "README.md"
    target.write_bytes(b"x" * target.stat().st_size)
    with pytest.raises(UploadError, match=r"README\.md is not what was announced"):
        await client.adapters.validate(read, "legal")


async def test_a_file_that_shrinks_meanwhile_ends_the_upload(
    client: AsyncClient, folder: Path
) -> None:
    """The error names the file, and no further try is made."""
    read = read_folder(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"short")
    with pytest.raises(InvalidRequestError, match=r"adapter_model\.safetensors became shorter"):
        await client.adapters.upload(read, "legal")


async def test_a_revision_is_published_and_taken_back(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path
) -> None:
    """Labels move as asked, each move is in the history with who and why, the newest first."""
    first = await client.adapters.upload(folder, "legal")
    (folder / "README.md").write_text("another card")
    second = await client.adapters.upload(folder, "legal")
    published = await client.adapters.publish(first.name)
    assert (published.label.live, published.revision.state) == (first.name, RevisionState.ACTIVE)
    with pytest.raises(LabelMovedError):
        await client.adapters.publish(second.name, expected_generation=0)
    canary = await client.adapters.publish(second.name, canary_share=0.25, expected_generation=1)
    assert (canary.label.live, canary.label.canary) == (first.name, second.name)
    assert canary.label.canary_share == 0.25
    shadow = await client.adapters.publish(second.name, shadow_share=0.5)
    assert (shadow.label.canary, shadow.label.shadow) == ("", second.name)
    assert (shadow.label.shadow_share, shadow.label.shadow_good) == (0.5, False)
    label = await client.adapters.rollback("legal", because="it dreams")
    assert (label.live, label.canary, label.generation) == (first.name, "", 4)
    history = await client.adapters.history("legal")
    assert history.label == label
    assert [change.action for change in history.changes] == [
        "rollback",
        "shadow",
        "canary",
        "publish",
    ]
    assert history.changes[1].label.shadow == second.name
    assert history.changes[0].because == "it dreams"
    assert history.changes[0].peer.startswith("127.0.0.1:")
    assert history.changes[-1].live_before == ""
    assert len((await client.adapters.history("legal", most=2)).changes) == 2
    with pytest.raises(NothingToRestoreError):
        await client.adapters.rollback("medical")


async def test_one_request_id_publishes_once(client: AsyncClient, folder: Path) -> None:
    """Sent again, it gives what the first call gave."""
    name = (await client.adapters.upload(folder, "legal")).name
    first = await client.adapters.publish(name, request_id="publish-1")
    assert await client.adapters.publish(name, request_id="publish-1") == first


async def test_what_a_replica_says_comes_through(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path
) -> None:
    """A rollout that fails is that error, with its words, and is not tried again by itself."""
    name = (await client.adapters.upload(folder, "legal")).name
    registry.script.publish_with = RolloutError("replica b answers rubbish")
    with pytest.raises(RolloutError, match="replica b answers rubbish"):
        await client.adapters.publish(name)


async def test_revisions_are_listed_by_expert_and_state(client: AsyncClient, folder: Path) -> None:
    """Over all pages, the newest first, without reports, with the labels of their experts."""
    names = []
    for number in range(3):
        (folder / "README.md").write_text(f"card {number}")
        names.append((await client.adapters.upload(folder, "legal")).name)
    other = (await client.adapters.upload(folder, "medical")).name
    await client.adapters.publish(names[0])
    everything = await client.adapters.list()
    assert [r.name for r in everything.revisions] == [other, *reversed(names)]
    assert {r.report for r in everything.revisions} == {""}
    assert {label.expert: label.live for label in everything.labels} == {
        "legal": names[0],
        "medical": "",
    }
    approved = await client.adapters.list("legal", ["approved"])
    assert [r.name for r in approved.revisions] == [names[2], names[1]]
    assert [r.name for r in (await client.adapters.list(most=1)).revisions] == [other]
    with pytest.raises(InvalidRequestError, match="expected some of"):
        await client.adapters.list(states=["asleep"])


async def test_changes_are_watched_as_they_happen(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path
) -> None:
    """Those before come first where they are asked for, in the order of their numbers."""
    registry.script.hold = True
    made = await client.adapters.upload(folder, "legal")
    async with client.adapters.watch(made.name, after_sequence=0) as changes:
        first, second = await anext(changes), await anext(changes)
        assert (first.before, first.state) == (None, RevisionState.VALIDATING)
        assert (second.before, second.state) == (first.state, RevisionState.EVALUATING)
        await registry.decide(made.name)
        third = await anext(changes)
    assert third.state is third.revision.state is RevisionState.APPROVED
    assert (first.sequence, second.sequence, third.sequence) == (1, 2, 3)
    assert (first.tenant, third.tenant) == ("local", "")
    async with client.adapters.watch(made.name) as changes:
        assert (await anext(changes)).state is RevisionState.APPROVED


async def test_a_revision_is_evaluated_again_and_withdrawn(
    client: AsyncClient, registry: ScriptedRegistry, folder: Path
) -> None:
    """What is withdrawn stays known, and its bytes are collected; a dry run only tells."""
    name = (await client.adapters.upload(folder, "legal")).name
    assert (await client.adapters.evaluate(name)).state is RevisionState.EVALUATING
    gone = await client.adapters.retire(name)
    assert (gone.state, gone.withdrawn) == (RevisionState.RETIRED, True)
    told = await client.adapters.collect(dry_run=True)
    assert (told.revisions, told.freed_bytes) == ((name,), gone.size_bytes)
    assert name in registry.content
    assert await client.adapters.collect() == told
    assert name not in registry.content
    with pytest.raises(RevisionNotFoundError):
        await client.adapters.get("legal--0000000000000000")
