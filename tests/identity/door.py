"""Ways to the service: over the wire, and at its reception."""

from typing import Any

import grpc

from tame_router.admission.caller import Caller
from tame_router.admission.reception import Reception
from tame_router.client.request import route_request
from tame_router.identity.credentials import Credentials
from tame_router.v1 import router_service_pb2_grpc
from tests.identity.intruders import Sent
from tests.identity.world import World, pem


def channel(address: str, world: World, leaf: Any = None) -> grpc.aio.Channel:
    """Open a channel over TLS, with a certificate where one is given."""
    own = (leaf.private_key_pem.bytes(), pem(leaf)) if leaf else (None, None)
    trusted = world.pki.ca.cert_pem.bytes()
    return grpc.aio.secure_channel(
        address,
        grpc.ssl_channel_credentials(trusted, *own),
        [("grpc.use_local_subchannel_pool", 1)],
    )


def metadata(sent: Sent) -> tuple[tuple[str, str], ...]:
    """Write what is sent as gRPC does."""
    return (
        *(("authorization", value) for value in sent.authorization),
        *(("x-api-key", value) for value in sent.api_key),
    )


async def ask(address: str, world: World, sent: Sent, leaf: Any = None) -> None:
    """Ask a question; raises what the caller sees."""
    async with channel(address, world, leaf) as open_channel:
        stub = router_service_pb2_grpc.RouterServiceStub(open_channel)
        request = route_request("押金不退", explain=False)
        await stub.Route(request, metadata=metadata(sent), timeout=10)


async def receive(reception: Reception, sent: Sent, certificate: bytes = b"") -> Caller:
    """Show credentials at the reception."""
    return await reception.receive(
        Credentials(authorization=sent.authorization, api_key=sent.api_key, certificate=certificate)
    )
