"""Feedback from a caller to the store, and everything that is refused on the way."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import grpc
import pytest

from tame_router import app
from tame_router.client.async_client import AsyncClient
from tame_router.client.client import Client
from tame_router.config import Settings
from tame_router.errors import ExpertNotFoundError, InvalidRequestError, StoreUnavailableError
from tame_router.feedback.feedback import Rating
from tame_router.store import FILE
from tame_router.telemetry import log
from tame_router.v1 import feedback_service_pb2, feedback_service_pb2_grpc
from tests.feedback.given import kept
from tests.rich_error import rich
from tests.router_fixture import changed
from tests.small_experts import QUESTIONS

pytestmark = pytest.mark.anyio

QUESTION = QUESTIONS["medical"][0]
GIVEN = {
    "answer_id": "answer-1",
    "expert": "medical",
    "comment": "這是醫療問題",
    "question": QUESTION,
}


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Give settings of a router whose store is the test's own."""
    return changed(settings, store={"url": f"sqlite:///{tmp_path / FILE}"})


@pytest.fixture
async def address(own: Settings) -> AsyncIterator[str]:
    """Give the address of that router."""
    async with app.running(own) as address:
        yield address


def submit(channel: grpc.aio.Channel, **fields: Any) -> Any:
    """Submit feedback without the SDK."""
    stub = feedback_service_pb2_grpc.FeedbackServiceStub(channel)
    return stub.SubmitFeedback(feedback_service_pb2.SubmitFeedbackRequest(**fields))


async def test_feedback_on_an_answer_is_stored(client: AsyncClient, tmp_path: Path) -> None:
    """What the person said is kept with the answer's id, and the receipt names it."""
    before = datetime.now(UTC)
    answer = await client.chat(QUESTION)
    receipt = await client.feedback(
        answer.answer_id, "legal", comment=" 這是法律問題\n", question=QUESTION
    )
    with kept(tmp_path) as store:
        (found,) = store.pending()
    assert (found.feedback_id, found.create_time) == (receipt.feedback_id, receipt.create_time)
    assert (found.answer_id, found.expert) == (answer.answer_id, "legal")
    assert found.tenant == "local"
    assert (found.comment, found.question) == ("這是法律問題", QUESTION)
    assert before <= receipt.create_time <= datetime.now(UTC)


async def test_both_clients_submit(address: str, client: AsyncClient, tmp_path: Path) -> None:
    """Comment and question may be left out, and each submission is feedback of its own."""

    def plainly() -> str:
        with Client(address, attempts=1) as plain:
            return plain.feedback("answer-1", "legal").feedback_id

    ids = [await anyio.to_thread.run_sync(plainly)]
    ids.append((await client.feedback("answer-1", "legal")).feedback_id)
    with kept(tmp_path) as store:
        assert [feedback.feedback_id for feedback in store.pending()] == ids


async def test_a_submission_may_be_repeated(channel: grpc.aio.Channel, tmp_path: Path) -> None:
    """The same request id and fields give the first receipt; other fields are refused."""
    first = await submit(channel, **GIVEN, request_id="request-1")
    again = await submit(channel, **GIVEN, request_id="request-1")
    assert first == again
    other = {**GIVEN, "expert": "legal", "request_id": "request-1"}
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await submit(channel, **other)
    error = rich(caught.value)
    assert (error.info.reason, error.fields) == ("INVALID_REQUEST", ("request_id",))
    with kept(tmp_path) as store:
        assert len(store.pending()) == 1


@pytest.mark.parametrize(
    ("fields", "reason", "field", "advice"),
    [
        ({"answer_id": ""}, "INVALID_REQUEST", "answer_id", "answer_id is empty; send the answer"),
        ({"answer_id": "a b c d e f"}, "INVALID_REQUEST", "answer_id", "8 to 64 letters"),
        ({"request_id": "short"}, "INVALID_REQUEST", "request_id", "is 'short'; expected 8 to 64"),
        ({"expert": ""}, "INVALID_REQUEST", "expert", "ListExperts tells"),
        ({"expert": "astrology"}, "EXPERT_NOT_FOUND", "", "'astrology'; ListExperts tells"),
        ({"comment": "字" * 2001}, "REQUEST_TOO_LARGE", "comment", "has 2001 .* at most 2000"),
        ({"question": "字" * 2001}, "REQUEST_TOO_LARGE", "question", "has 2001 .* at most 2000"),
        ({"question": "a\x00b"}, "INVALID_REQUEST", "question", "NUL"),
    ],
)
async def test_feedback_that_cannot_be_taken(
    channel: grpc.aio.Channel,
    tmp_path: Path,
    fields: dict[str, str],
    reason: str,
    field: str,
    advice: str,
) -> None:
    """It is refused with code, reason, field and what to do, and nothing is stored."""
    with pytest.raises(grpc.aio.AioRpcError, match=advice) as caught:
        await submit(channel, **{**GIVEN, **fields})
    error = rich(caught.value)
    code = "NOT_FOUND" if reason == "EXPERT_NOT_FOUND" else "INVALID_ARGUMENT"
    assert (error.code, error.info.reason) == (code, reason)
    assert error.fields == ((field,) if field else ())
    assert not (tmp_path / FILE).exists()


async def test_the_longest_texts_are_kept(client: AsyncClient, tmp_path: Path) -> None:
    """A comment and a question may have 2,000 characters, and several lines."""
    text = "字\n" * 999 + "字字"
    await client.feedback("answer-1", "legal", comment=text, question=text)
    with kept(tmp_path) as store:
        assert [(f.comment, f.question) for f in store.pending()] == [(text, text)]


async def test_errors_of_feedback_are_the_classes_they_were(client: AsyncClient) -> None:
    """The client raises what the server raised, and what cannot be sent at all."""
    with pytest.raises(ExpertNotFoundError):
        await client.feedback("answer-1", "astrology")
    with pytest.raises(InvalidRequestError, match="comment cannot be sent") as caught:
        await client.feedback("answer-1", "legal", comment="\ud800")
    assert caught.value.field == "comment"


async def test_a_store_that_cannot_be_used_is_told(client: AsyncClient, tmp_path: Path) -> None:
    """The caller may try again, learns no path, and the router goes on answering."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(StoreUnavailableError, match="cannot be stored now") as caught:
        await client.feedback("answer-1", "legal")
    assert caught.value.retry_after_s == 1
    assert str(tmp_path) not in caught.value.message
    assert (await client.route(QUESTION)).expert == "medical"


async def test_no_words_of_feedback_are_logged(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names answer, feedback and expert, and neither question nor comment."""
    caplog.set_level(logging.DEBUG, log.LOGGER.name)
    receipt = await client.feedback("answer-1", "legal", comment="祕密的話", question=QUESTION)
    with pytest.raises(InvalidRequestError):
        await client.feedback("", "legal", comment="祕密的話", question=QUESTION)
    told = " ".join(str(vars(record)) for record in caplog.records)
    assert receipt.feedback_id in told
    assert "祕密的話" not in told
    assert QUESTION not in told


async def test_feedback_is_on_disk_when_the_receipt_is_given(
    client: AsyncClient, tmp_path: Path
) -> None:
    """Another program reads it while the router runs."""
    receipt = await client.feedback("answer-1", "legal")
    reader = sqlite3.connect(tmp_path / FILE)
    assert reader.execute("SELECT feedback_id, state FROM feedback").fetchall() == [
        (receipt.feedback_id, "pending")
    ]
    reader.close()


async def test_two_routers_share_a_store(own: Settings, tmp_path: Path) -> None:
    """Both write to it at once, and what one was told is not told to the other again."""
    async with (
        app.running(own) as one,
        app.running(own) as two,
        grpc.aio.insecure_channel(one) as first,
        grpc.aio.insecure_channel(two) as second,
    ):
        ids = set()
        for number in range(4):
            given = {**GIVEN, "request_id": f"request-{number}"}
            calls = [submit(first, **given), submit(second, **given)]
            ids |= {(await call).feedback_id for call in calls}
    assert len(ids) == 4
    with kept(tmp_path) as store:
        assert {feedback.feedback_id for feedback in store.pending()} == ids


async def test_a_rating_is_kept(client: AsyncClient, tmp_path: Path) -> None:
    """As it was given; sent with another under the same request id it is refused."""
    answer = await client.chat(QUESTION)
    await client.feedback(answer.answer_id, "medical", rating="good")
    with kept(tmp_path) as store:
        (found,) = store.pending()
    assert found.rating is Rating.GOOD


async def test_a_rating_that_is_none_is_refused(
    client: AsyncClient, channel: grpc.aio.Channel
) -> None:
    """By the SDK, and by the service."""
    with pytest.raises(InvalidRequestError, match="rating is 'meh'"):
        await client.feedback("answer-1", "medical", rating="meh")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await submit(channel, **GIVEN, rating=9)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "rating is 9" in (caught.value.details() or "")
