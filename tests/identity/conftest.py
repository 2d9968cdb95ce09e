"""Fixtures: a world of callers, and a service that asks who they are."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tame_router import app
from tame_router.admission.reception import Reception
from tame_router.config import Settings
from tame_router.identity.build import build_authenticator
from tests.identity.world import (
    World,
)
from tests.router_fixture import changed


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give tenants, keys, authorities and issuers."""
    return World(tmp_path_factory.mktemp("world"))


def secured(settings: Settings, world: World, **tls: Any) -> Settings:
    """Give settings of a service that asks who calls."""
    return changed(
        settings, server={"insecure": False}, tls={**world.tls, **tls}, identity=world.identity
    )


@pytest.fixture(scope="module")
async def secure_address(trained_settings: Settings, world: World) -> AsyncIterator[str]:
    """Give the address of a router that asks who calls, and for no certificate."""
    async with app.running(secured(trained_settings, world), world.directory) as address:
        yield address.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
async def mutual_address(trained_settings: Settings, world: World) -> AsyncIterator[str]:
    """Give the address of a router that requires a certificate."""
    settings = secured(trained_settings, world, require_client_certificate=True)
    async with app.running(settings, world.directory) as address:
        yield address.replace("127.0.0.1", "localhost")


@pytest.fixture
async def refusals() -> list[str]:
    """Give the reasons of refusals so far."""
    return []


@pytest.fixture
async def reception(
    trained_settings: Settings, world: World, refusals: list[str]
) -> AsyncIterator[Reception]:
    """Give the reception of the same service, without a port."""
    settings = secured(trained_settings, world)
    made = build_authenticator(settings, world.directory, refusals.append)
    reception = Reception(made, world.directory)
    yield reception
    await reception.close()
