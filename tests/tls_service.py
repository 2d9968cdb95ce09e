"""A service behind TLS that tells what metadata each call brought, and certificates for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import trustme

from tame_router.v1 import (
    expert_pb2,
    expert_service_pb2,
    expert_service_pb2_grpc,
    feedback_service_pb2,
    feedback_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from tests.scripted_service import Unwritten

Seen = dict[str, list[str]]


class Noting(
    Unwritten,
    expert_service_pb2_grpc.ExpertServiceServicer,
    feedback_service_pb2_grpc.FeedbackServiceServicer,
):
    """Answers everything, and notes the metadata of each call by method."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Seen]] = []
        self.peers: list[bytes] = []

    def _note(self, method: str, context: Any) -> None:
        seen: Seen = {}
        for key, value in context.invocation_metadata():
            seen.setdefault(key, []).append(value)
        self.calls.append((method, seen))
        self.peers += context.auth_context().get("x509_common_name", [])

    async def Route(self, request: Any, context: Any) -> Any:
        """Note and answer."""
        self._note("Route", context)
        return router_service_pb2.RouteResponse()

    async def Chat(self, request: Any, context: Any) -> Any:
        """Note and answer."""
        self._note("Chat", context)
        return router_service_pb2.ChatResponse(content="here")

    async def StreamChat(  # type: ignore[override]  # stubs know only the generator form
        self, request: Any, context: Any
    ) -> None:
        """Note and answer."""
        self._note("StreamChat", context)
        delta = router_service_pb2.Delta(text="here")
        await context.write(router_service_pb2.StreamChatResponse(delta=delta))

    async def ListExperts(self, request: Any, context: Any) -> Any:
        """Note and answer."""
        self._note("ListExperts", context)
        return expert_service_pb2.ListExpertsResponse()

    async def GetExpert(self, request: Any, context: Any) -> Any:
        """Note and answer."""
        self._note("GetExpert", context)
        return expert_service_pb2.GetExpertResponse(expert=expert_pb2.Expert(name="legal"))

    async def SubmitFeedback(self, request: Any, context: Any) -> Any:
        """Note and answer."""
        self._note("SubmitFeedback", context)
        return feedback_service_pb2.SubmitFeedbackResponse(feedback_id="f")


class Pki:
    """An authority, a server's certificate for 127.0.0.1 and a client's, as files.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        server = self._authority.issue_cert("127.0.0.1", "router.example")
        client = self._authority.issue_cert("his.hospital.example", common_name="his")
        self.ca = folder / "ca.pem"
        self.cert = folder / "client.pem"
        self.key = folder / "client.key"
        self._authority.cert_pem.write_to_path(self.ca)
        self.cert.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
        client.private_key_pem.write_to_path(self.key)
        chain = b"".join(blob.bytes() for blob in server.cert_chain_pems)
        self._server = (server.private_key_pem.bytes(), chain)

    def server_credentials(self, *, require_client: bool) -> grpc.ServerCredentials:
        """Give what a server shows, and whether it wants to see a client's certificate."""
        return grpc.ssl_server_credentials(
            [self._server],
            root_certificates=self.ca.read_bytes() if require_client else None,
            require_client_auth=require_client,
        )


@asynccontextmanager
async def noting(
    noted: Noting, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[str]:
    """Serve on a free port, and give the address.

    Args:
        noted: What answers.
        credentials: Certificates of the server; None: no TLS.
    """
    server = grpc.aio.server()
    router_service_pb2_grpc.add_RouterServiceServicer_to_server(noted, server)
    expert_service_pb2_grpc.add_ExpertServiceServicer_to_server(noted, server)
    feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(noted, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
