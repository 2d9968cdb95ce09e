"""Certificates as proof: over a real port that requires them, and at the reception."""

import grpc
import pytest

from tame_router.admission.reception import Reception
from tame_router.errors import UnauthenticatedError
from tame_router.identity.principal import Method
from tame_router.identity.refusal import Reason
from tests.identity.door import ask, receive
from tests.identity.intruders import Sent, bearer
from tests.identity.world import World, der

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["subject", "san"])
async def test_a_certificate_gets_in(
    mutual_address: str, reception: Reception, world: World, name: str
) -> None:
    """A bound subject and a bound alternative name are each enough."""
    leaf = getattr(world.pki, name)
    await ask(mutual_address, world, Sent(), leaf)
    principal = (await receive(reception, Sent(), der(leaf))).principal
    assert (principal.tenant, principal.method) == ("hospital", Method.CERTIFICATE)
    assert principal.subject.startswith("dns:pacs" if name == "san" else "CN=his")


async def test_a_certificate_may_stand_beside_a_key(
    mutual_address: str, reception: Reception, world: World
) -> None:
    """The key is the proof; the certificate may be the tenant's own or nobody's."""
    for leaf in (world.pki.unbound, world.pki.san):
        await ask(mutual_address, world, bearer(world.good.key), leaf)
        caller = await receive(reception, bearer(world.good.key), der(leaf))
        assert caller.principal.method is Method.API_KEY
    token = bearer(world.signers.token())
    assert (await receive(reception, token, der(world.pki.unbound))).tenant.name == "hospital"


HANDSHAKE = ("expired", "early", "stranger")
CERTIFICATES = {
    "expired": Reason.CERTIFICATE_TIME,
    "early": Reason.CERTIFICATE_TIME,
    "revoked": Reason.CERTIFICATE_REVOKED,
    "unlisted": Reason.CERTIFICATE_UNCHECKED,
    "unbound": Reason.CERTIFICATE_UNBOUND,
    "double": Reason.TENANTS_DIFFER,
}


@pytest.mark.parametrize("name", [*CERTIFICATES, "stranger", ""])
async def test_a_wrong_certificate_stays_outside(
    mutual_address: str, world: World, name: str
) -> None:
    """TLS ends what is not of our authorities; what TLS lets through ends at the reception."""
    leaf = getattr(world.pki, name) if name else None
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(mutual_address, world, Sent(), leaf)
    closed = not name or name in HANDSHAKE
    expected = grpc.StatusCode.UNAVAILABLE if closed else grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.code() is expected


async def test_a_self_signed_certificate_stays_outside(mutual_address: str, world: World) -> None:
    """A certificate of the caller's own making does not pass the handshake."""
    own = world.pki.own.issue_cert("pacs.hospital.example", common_name="his")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(mutual_address, world, Sent(), own)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(("name", "reason"), CERTIFICATES.items())
async def test_a_certificate_is_looked_at_in_every_call(
    reception: Reception, world: World, refusals: list[str], name: str, reason: Reason
) -> None:
    """On a connection that was opened when it still counted, it is refused with its reason."""
    with pytest.raises(UnauthenticatedError):
        await receive(reception, Sent(), der(getattr(world.pki, name)))
    assert refusals == [reason.value]


@pytest.mark.parametrize("name", ["factory", "revoked", "expired", "unlisted"])
async def test_a_key_does_not_rescue_a_certificate(
    mutual_address: str, reception: Reception, world: World, refusals: list[str], name: str
) -> None:
    """A good key over a connection of another tenant, or of a dead certificate, is refused."""
    leaf = getattr(world.pki, name)
    with pytest.raises(UnauthenticatedError):
        await receive(reception, bearer(world.good.key), der(leaf))
    expected = CERTIFICATES.get(name, Reason.TENANTS_DIFFER)
    assert refusals == [expected.value]
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(mutual_address, world, bearer(world.good.key), leaf)


@pytest.mark.parametrize("bytes_", [b"x", b"\x30\x03\x02\x01\x01"])
async def test_what_is_no_certificate_is_refused(
    reception: Reception, refusals: list[str], bytes_: bytes
) -> None:
    """Bytes that are no certificate are refused, not a crash."""
    with pytest.raises(UnauthenticatedError):
        await receive(reception, Sent(), bytes_)
    assert refusals == [Reason.CERTIFICATE_MALFORMED.value]
