"""`FeedbackService`: take what people say about the choice of an expert, and of answers."""

import hashlib
import logging
import re
import secrets
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from tame_router.admission.desk import Desk
from tame_router.api.grpc_edge import Context, caller
from tame_router.errors import InvalidRequestError, RequestTooLargeError
from tame_router.feedback.feedback import (
    LONGEST_COMMENT_CHARS,
    LONGEST_QUESTION_CHARS,
    Feedback,
    Rating,
)
from tame_router.feedback.intake import Intake
from tame_router.registry.canary.witness import Witness
from tame_router.telemetry import log
from tame_router.v1 import feedback_service_pb2, feedback_service_pb2_grpc

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_ID_FORM = "8 to 64 letters, digits, '.', '_' and '-'"
_RATINGS = {
    feedback_service_pb2.RATING_UNSPECIFIED: Rating.NONE,
    feedback_service_pb2.RATING_GOOD: Rating.GOOD,
    feedback_service_pb2.RATING_BAD: Rating.BAD,
}
_ID_BYTES = 8
"""Random bytes of a feedback's id: short enough to be typed."""


class FeedbackServicer(feedback_service_pb2_grpc.FeedbackServiceServicer):
    """Serves `tame_router.v1.FeedbackService`.

    Args:
        desk: Knows which experts exist for a caller.
        intake: Takes feedback in.
        witness: Hears of bad ratings, for the sake of canaries; None: nobody does.
    """

    def __init__(self, desk: Desk, intake: Intake, witness: Witness | None = None) -> None:
        self._desk = desk
        self._intake = intake
        self._witness = witness or Witness()

    async def SubmitFeedback(
        self, request: feedback_service_pb2.SubmitFeedbackRequest, context: Context
    ) -> feedback_service_pb2.SubmitFeedbackResponse:
        """Store feedback, once for each request id; it counts as a request of the tenant's."""
        catalog = self._desk.catalog(caller())
        given = read_feedback(
            request,
            feedback_id=secrets.token_hex(_ID_BYTES),
            tenant=caller().tenant.name,
        )
        catalog.expert(given.expert)
        async with self._desk.counted(caller()):
            kept = await self._intake.add(given)
        if not kept.repeats(given):
            raise InvalidRequestError(
                "request_id has named other feedback before; give each submission an id of its own",
                field="request_id",
            )
        # Sent again it is the first that is kept, and has counted.
        if kept.rating is Rating.BAD and kept.feedback_id == given.feedback_id:
            self._witness.dislike(kept.answer_id, kept.tenant, kept.expert)
        log.event(
            logging.INFO,
            "feedback.stored",
            feedback_id=kept.feedback_id,
            answer_id=kept.answer_id,
            expert=kept.expert,
            rating=kept.rating.value,
            tenant=kept.tenant,
        )
        create_time = Timestamp()
        create_time.FromDatetime(kept.create_time)
        return feedback_service_pb2.SubmitFeedbackResponse(
            feedback_id=kept.feedback_id, create_time=create_time
        )


def read_feedback(
    proto: feedback_service_pb2.SubmitFeedbackRequest, *, feedback_id: str, tenant: str
) -> Feedback:
    """Check feedback; whether the expert exists is checked where experts are known.

    Its request id is kept together with the tenant, as one digest: no tenant can meet, or
    learn of, another's.

    Raises:
        RequestTooLargeError: When a text is longer than is kept.
        InvalidRequestError: When another field is missing or malformed.
    """
    if not _ID.fullmatch(proto.answer_id):
        raise InvalidRequestError(
            f"answer_id {_seen(proto.answer_id)}; send the answer's own, {_ID_FORM}",
            field="answer_id",
        )
    if proto.request_id and not _ID.fullmatch(proto.request_id):
        raise InvalidRequestError(
            f"request_id {_seen(proto.request_id)}; expected {_ID_FORM}, or nothing",
            field="request_id",
        )
    if proto.rating not in _RATINGS:
        raise InvalidRequestError(
            f"rating is {proto.rating}; expected RATING_GOOD, RATING_BAD or nothing", field="rating"
        )
    if not proto.expert:
        raise InvalidRequestError(
            "expert is empty; name the right one, ListExperts tells which there are",
            field="expert",
        )
    return Feedback(
        feedback_id=feedback_id,
        answer_id=proto.answer_id,
        expert=proto.expert,
        comment=_read_text("comment", proto.comment, LONGEST_COMMENT_CHARS),
        question=_read_text("question", proto.question, LONGEST_QUESTION_CHARS),
        create_time=datetime.now(UTC),
        request_id=_own_id(tenant, proto.request_id),
        tenant=tenant,
        rating=_RATINGS[proto.rating],
    )


def _own_id(tenant: str, request_id: str) -> str:
    text = f"{tenant} {request_id}"
    return hashlib.sha256(text.encode()).hexdigest() if request_id else ""


def _read_text(field: str, text: str, limit: int) -> str:
    text = text.strip()
    if len(text) > limit:
        raise RequestTooLargeError(
            f"{field} has {len(text)} characters, at most {limit} are kept; send less",
            field=field,
        )
    if "\x00" in text:
        raise InvalidRequestError(
            f"{field} holds a NUL character, which databases do not keep; take it out", field=field
        )
    return text


def _seen(text: str) -> str:
    return f"is {text[:64]!r}" if text else "is empty"
