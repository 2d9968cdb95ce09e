"""The router is extended in another process, and what that finds comes back whole."""

import asyncio
import multiprocessing
import shutil
from pathlib import Path

import pytest

from tame_router.catalog.expert import Catalog
from tame_router.chat import Message, Role
from tame_router.config import Settings
from tame_router.domain_extension import DomainExtender
from tame_router.errors import ArtefactError, CatalogError
from tests.domain_folder import EXPERT, QUESTIONS, write_domain

pytestmark = pytest.mark.anyio


@pytest.fixture
def own(trained_settings: Settings, tmp_path: Path) -> Settings:
    """Give settings with a trained router that the test may replace."""
    shutil.copytree(trained_settings.state_dir / "router", tmp_path / "state" / "router")
    return trained_settings.model_copy(update={"state_dir": tmp_path / "state"})


async def test_a_domain_is_learnt_and_kept(own: Settings, catalog: Catalog, tmp_path: Path) -> None:
    """The extended router leads its questions; once it is kept, there is nothing to learn."""
    extender = DomainExtender(own, None)
    folder = write_domain(tmp_path / EXPERT)
    extended = await extender.extend(folder, catalog, outlook=True)
    assert extended.outlook is not None
    assert extended.outlook.lines == 24
    assert extended.outlook.asked == dict.fromkeys(catalog.names, 24)
    router = await extender.keep(extended.artefact)
    message = Message(role=Role.USER, content=QUESTIONS[0])
    assert router.route([message]).lead == EXPERT
    again = await extender.extend(folder, catalog, outlook=True)
    assert (again.outlook, again.artefact.digest) == (None, extended.artefact.digest)


async def test_what_is_wrong_is_told_across(
    own: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    """Lines that cannot be used, and a router of other experts, raise what they raise here."""
    extender = DomainExtender(own, None)
    folder = write_domain(tmp_path / EXPERT, lines={"en": "one line\n"})
    with pytest.raises(CatalogError, match="has 1 different teaching lines"):
        await extender.extend(folder, catalog, outlook=False)
    fewer = Catalog({name: catalog.expert(name) for name in ("general", "legal")})
    with pytest.raises(ArtefactError, match="no experts"):
        await extender.extend(folder, fewer, outlook=False)


async def test_nobody_waits_for_it_after_the_end(
    own: Settings, catalog: Catalog, tmp_path: Path
) -> None:
    """Whoever stops waiting ends the process."""
    folder = write_domain(tmp_path / EXPERT)
    async with asyncio.TaskGroup() as group:
        extending = DomainExtender(own, None).extend(folder, catalog, outlook=False)
        task = group.create_task(extending)
        await asyncio.sleep(0)
        assert multiprocessing.active_children()
        task.cancel()
    assert task.cancelled()
    assert not multiprocessing.active_children()
