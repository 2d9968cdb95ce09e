"""Feedback as the SDK sends it, and the receipt it gives."""

import enum
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from tame_router.client.sendable import sendable
from tame_router.errors import InvalidRequestError
from tame_router.v1 import feedback_service_pb2


class Rating(enum.StrEnum):
    """What a person says of an answer."""

    NONE = ""
    """Nothing."""
    GOOD = "good"
    """It is good."""
    BAD = "bad"
    """It is bad."""


_RATINGS = {
    Rating.NONE: feedback_service_pb2.RATING_UNSPECIFIED,
    Rating.GOOD: feedback_service_pb2.RATING_GOOD,
    Rating.BAD: feedback_service_pb2.RATING_BAD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Tells that feedback is stored.

    Attributes:
        feedback_id: Names it, for `tame router review`.
        create_time: When it was stored, in UTC.
    """

    feedback_id: str
    create_time: datetime


def feedback_request(
    answer_id: str, expert: str, comment: str, question: str, rating: Rating | str = Rating.NONE
) -> feedback_service_pb2.SubmitFeedbackRequest:
    """Write feedback, with an id that makes it safe to send again.

    Raises:
        InvalidRequestError: When a request cannot hold a value, or there is no such rating.
    """
    if rating not in set(Rating):
        raise InvalidRequestError(
            f"rating is {str(rating)[:64]!r}; expected 'good', 'bad' or nothing", field="rating"
        )
    fields = {"answer_id": answer_id, "expert": expert, "comment": comment, "question": question}
    request = feedback_service_pb2.SubmitFeedbackRequest(
        request_id=uuid.uuid4().hex, rating=_RATINGS[Rating(rating)]
    )
    for name, value in fields.items():
        with sendable(name):
            setattr(request, name, value)
    return request


def read_receipt(proto: feedback_service_pb2.SubmitFeedbackResponse) -> Receipt:
    """Read a receipt."""
    return Receipt(
        feedback_id=proto.feedback_id, create_time=proto.create_time.ToDatetime(tzinfo=UTC)
    )
