"""What the SDK does with feedback before it is sent and when it has to be sent again."""

from typing import Any

import pytest

from tame_router.client.async_client import AsyncClient
from tame_router.client.feedback import feedback_request
from tame_router.errors import BackendUnavailableError
from tame_router.v1 import feedback_service_pb2, feedback_service_pb2_grpc
from tests.scripted_service import serving

pytestmark = pytest.mark.anyio


class Forgetful(feedback_service_pb2_grpc.FeedbackServiceServicer):
    """Takes feedback, and loses the first receipt."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def SubmitFeedback(self, request: Any, context: Any) -> Any:
        """Note the id of the submission."""
        self.heard.append(request.request_id)
        if len(self.heard) == 1:
            raise BackendUnavailableError("come back")
        return feedback_service_pb2.SubmitFeedbackResponse(feedback_id="f")


async def test_feedback_sent_again_has_the_same_id() -> None:
    """A retry can be told from other feedback, so that it is stored once."""
    forgetful = Forgetful()
    async with serving(feedback=forgetful) as address, AsyncClient(address) as client:
        assert (await client.feedback("answer-1", "legal")).feedback_id == "f"
    first, second = forgetful.heard
    assert first == second != ""


def test_each_submission_has_an_id_of_its_own() -> None:
    """Two people may say the same of one answer."""
    one, other = (feedback_request("answer-1", "legal", "", "") for _ in range(2))
    assert one.request_id != other.request_id
