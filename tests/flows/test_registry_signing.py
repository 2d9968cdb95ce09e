"""A signer that is taken out: what answers goes on, and nothing more of it is let in."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from tame_router.client.adapter import RevisionState
from tame_router.errors_registry import RevisionRefusedError
from tame_router.registry.signing import vigil as vigil_module
from tame_router.registry.signing.folder_signing import sign_folder
from tame_router.telemetry import log
from tests.registry.signers import write_key
from tests.registry_fixture import Site, answering, approved, forget, label, name_of, states

pytest.importorskip("OpenSSL", reason="model-signing needs pyOpenSSL, and does not say so")
pytestmark = pytest.mark.anyio


def signed(site: Site, seed: int, key: Path) -> Path:
    """Write an adapter's folder, signed."""
    folder = site.adapter(seed)
    sign_folder(folder, key)
    site.teach(name_of(folder))
    return folder


def take_out(key: Path) -> bytes:
    """Put a stranger's key in the place of a signer's, and give the signer's."""
    public = key.with_suffix(".pub")
    before = public.read_bytes()
    public.write_bytes(write_key(key.parent, "stranger").with_suffix(".pub").read_bytes())
    return before


async def test_a_signer_that_is_taken_out(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody goes back to what it signed; what is live goes on, with an alarm, and may be left."""
    monkeypatch.setattr(vigil_module, "LOOK_S", 0.05)
    monkeypatch.setattr(vigil_module, "GLANCE_S", 60)
    caplog.set_level(logging.ERROR, log.LOGGER.name)
    acme, best = write_key(tmp_path, "acme"), write_key(tmp_path, "best")
    keys = [str(key.with_suffix(".pub")) for key in (acme, best)]
    settings = site.changed(signing={"policy": "required", "public_keys": keys})
    async with site.running(settings) as client:
        first = await approved(client, signed(site, 1, acme))
        second = await approved(client, signed(site, 2, best))
        await client.adapters.publish(first)
        await client.adapters.publish(second)
        counted = take_out(acme)
        for revision in ("", first):
            with pytest.raises(RevisionRefusedError, match="signatures do not count"):
                await client.adapters.rollback("legal", revision)
        assert (await label(client)).live == second
        take_out(best)
        async with asyncio.timeout(20):
            while "adapter.untrusted" not in {one.message for one in caplog.records}:
                assert await answering(client) == second
        forget(site, second)  # a replica that comes back has it too
        assert await answering(client) == second
        acme.with_suffix(".pub").write_bytes(counted)
        assert (await client.adapters.rollback("legal")).live == first
        assert await answering(client) == first


@pytest.mark.parametrize("harm", [Path.unlink, lambda key: key.write_bytes(b"no key")])
async def test_a_signer_whose_key_cannot_be_read(
    site: Site, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    """What it signed is neither published nor gone back to; with the key it counts again."""
    acme, best = write_key(tmp_path, "acme"), write_key(tmp_path, "best")
    keys = [str(key.with_suffix(".pub")) for key in (acme, best)]
    settings = site.changed(signing={"policy": "required", "public_keys": keys})
    async with site.running(settings) as client:
        first = await approved(client, signed(site, 1, acme))
        second = await approved(client, signed(site, 2, best))
        third = await approved(client, signed(site, 3, acme))
        await client.adapters.publish(first)
        await client.adapters.publish(second)
        public = acme.with_suffix(".pub")
        before = public.read_bytes()
        harm(public)
        for call in (client.adapters.publish(third), client.adapters.rollback("legal")):
            with pytest.raises(RevisionRefusedError, match="signers cannot be read"):
                await call
        assert (await states(client, third)) == [RevisionState.APPROVED]
        assert (await label(client)).live == second
        public.write_bytes(before)
        assert (await client.adapters.publish(third)).label.live == third
