"""Getting in: everything that must fail, over a real TLS port, and what must pass beside it."""

from datetime import timedelta

import grpc
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tame_router.admission.reception import Reception
from tame_router.client.request import route_request
from tame_router.errors import UnauthenticatedError
from tame_router.identity import api_key
from tame_router.identity.authenticator import NOT_KNOWN
from tame_router.identity.principal import Method
from tame_router.identity.refusal import Reason
from tame_router.tenancy.tenant import Scope
from tame_router.v1 import router_service_pb2_grpc
from tests.identity.door import ask, channel, metadata, receive
from tests.identity.intruders import KEYS, TOKENS, UNWIRED, Sent, Way, bearer, key
from tests.identity.world import LEEWAY_S, LONE_ISSUER, NOW, World, at_seconds, der, kept, payload

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("sent", "reason"), [*KEYS, *TOKENS])
async def test_an_intruder_stays_outside(
    secure_address: str, world: World, sent: Way, reason: Reason
) -> None:
    """Over the wire it is UNAUTHENTICATED in the same words, whatever was wrong."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(secure_address, world, sent(world))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == NOT_KNOWN


@pytest.mark.parametrize(("sent", "reason"), [*KEYS, *UNWIRED, *TOKENS])
async def test_the_operator_is_told_why(
    reception: Reception, world: World, refusals: list[str], sent: Way, reason: Reason
) -> None:
    """The caller hears the same words; the reason is counted, once."""
    with pytest.raises(UnauthenticatedError) as caught:
        await receive(reception, sent(world))
    assert caught.value.message == NOT_KNOWN
    assert (caught.value.metadata, caught.value.retry_after_s) == ({}, None)
    assert refusals == [reason.value]


@pytest.mark.parametrize(("sent", "reason"), [*KEYS, *UNWIRED, *TOKENS])
async def test_a_certificate_rescues_nobody(
    reception: Reception, world: World, sent: Way, reason: Reason
) -> None:
    """A wrong key or token beside a valid certificate of the tenant is refused."""
    if sent(world) == Sent():
        assert (await receive(reception, sent(world), der(world.pki.san))).tenant.name == "hospital"
        return
    with pytest.raises(UnauthenticatedError):
        await receive(reception, sent(world), der(world.pki.san))


INVITED = {
    "a key": lambda w: bearer(w.good.key),
    "a key in x-api-key": lambda w: key(w.good.key),
    "bearer in lower case": lambda w: Sent(authorization=(f"bearer {w.good.key}",)),
    "the same key in both headers": lambda w: Sent(
        authorization=(f"Bearer {w.good.key}",), api_key=(w.good.key,)
    ),
    "a rotated key in its overlap": lambda w: bearer(w.rotated.key),
    "a token": lambda w: bearer(w.signers.token()),
    "a token of the elliptic key": lambda w: bearer(
        jwt.encode(payload(), w.signers.ec, "ES256", {"kid": "e1"})
    ),
    "a token for several audiences": lambda w: bearer(w.signers.token(aud=["x", "tame-router"])),
    "a token a moment too old": lambda w: bearer(w.signers.token(exp=at_seconds(5 - LEEWAY_S))),
    "a token a moment too young": lambda w: bearer(w.signers.token(nbf=at_seconds(LEEWAY_S - 10))),
    "no key id where there is one key": lambda w: bearer(
        jwt.encode(payload(iss=LONE_ISSUER), w.signers.ec, "ES256")
    ),
}


@pytest.mark.parametrize("sent", INVITED.values(), ids=INVITED)
async def test_who_is_invited_gets_in(
    secure_address: str, reception: Reception, world: World, sent: Way
) -> None:
    """Beside all that fails: what must pass does, over the wire and as the right tenant."""
    await ask(secure_address, world, sent(world))
    caller = await receive(reception, sent(world))
    assert caller.tenant.name == caller.principal.tenant == "hospital"


async def test_keys_and_tokens_say_who_and_what(reception: Reception, world: World) -> None:
    """A principal has a subject for the records, and the scopes that were given."""
    one = (await receive(reception, key(world.good.key))).principal
    assert (one.subject, one.method) == (world.good.key_id, Method.API_KEY)
    scopes = {
        None: {Scope.CHAT},
        "openid profile": {Scope.CHAT},
        "chat usage admin": {Scope.CHAT, Scope.USAGE},
        "usage": {Scope.USAGE},
        "publish": set(),
    }
    for claim, given in scopes.items():
        token = bearer(world.signers.token(scope=claim))
        two = (await receive(reception, token)).principal
        assert (two.subject, two.method) == ("dr-chen", Method.JWT)
        assert two.scopes == given
    listed = bearer(world.signers.token(scope=["usage", 3, "chat"]))
    assert (await receive(reception, listed)).principal.scopes == {Scope.CHAT, Scope.USAGE}


async def test_a_megabyte_of_header_is_refused(secure_address: str, world: World) -> None:
    """GRPC takes no header of 1 MiB; the service goes on."""
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(secure_address, world, bearer("a" * 2**20))
    await ask(secure_address, world, bearer(world.good.key))


async def test_plain_text_stays_outside(secure_address: str, world: World) -> None:
    """A port with TLS speaks nothing else, also to those who have a key."""
    async with grpc.aio.insecure_channel(secure_address) as plain:
        stub = router_service_pb2_grpc.RouterServiceStub(plain)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Route(
                route_request("x", explain=False),
                metadata=metadata(bearer(world.good.key)),
                timeout=10,
            )
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_key_that_is_revoked_stops_at_once(reception: Reception, world: World) -> None:
    """What the directory knows counts at the next call; nothing of a key is remembered."""
    before = world.directory.now
    assert await receive(reception, bearer(world.good.key))
    token = bearer(world.signers.token())
    assert await receive(reception, token)
    world.directory.now = type(before).of(before.tenants.values())
    try:
        for sent in (bearer(world.good.key), token):
            with pytest.raises(UnauthenticatedError):
                await receive(reception, sent)
    finally:
        world.directory.now = before


async def test_reflection_is_for_those_who_may_call(secure_address: str, world: World) -> None:
    """Without rights it is UNAUTHENTICATED, with a key it tells what there is."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with channel(secure_address, world) as opened:
        stub = reflection_pb2_grpc.ServerReflectionStub(opened)
        for sent in (Sent(), bearer(world.unknown.key)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                [
                    r
                    async for r in stub.ServerReflectionInfo(
                        iter([request]), metadata=metadata(sent)
                    )
                ]
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        good = metadata(bearer(world.good.key))
        (reply,) = [r async for r in stub.ServerReflectionInfo(iter([request]), metadata=good)]
    assert reply.list_services_response.service


async def test_health_is_for_everyone(secure_address: str, world: World) -> None:
    """A load balancer without a key learns that the service serves."""
    async with channel(secure_address, world) as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        found = await stub.Check(health_pb2.HealthCheckRequest())
    assert found.status == health_pb2.HealthCheckResponse.SERVING


def test_an_overlap_ends() -> None:
    """A rotated key counts until its moment, and not from then on."""
    rotated = kept(api_key.make(), revoke_time=NOW, expire_time=NOW + timedelta(days=1))
    assert rotated.counts(NOW - timedelta(microseconds=1))
    assert not rotated.counts(NOW)
