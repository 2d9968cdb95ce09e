"""One call under admission: what is known of it when it begins. Values only."""

from datetime import datetime

import msgspec

from tame_router.admission.caller import Caller
from tame_router.answering.question import Question


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer that is asked for.

    Attributes:
        caller: Who asks.
        question: What is asked.
        edge: `grpc` or `http`.
        operation: `chat` or `stream_chat`.
        begin_time: When it arrived, UTC.
        model: What an OpenAI program calls the expert, to be looked up here; None: the
            question's constraints say it all.
    """

    caller: Caller
    question: Question
    edge: str
    operation: str
    begin_time: datetime
    model: str | None = None
