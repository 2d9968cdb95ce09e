"""A question on its way through the router."""

from collections.abc import Mapping

import msgspec

from tame_router.catalog.expert import Catalog
from tame_router.chat import Document, Message, Role, Sampling, Shape
from tame_router.routing.decision import Constraints


class Question(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A checked request for an answer.

    Attributes:
        answer_id: Names the answer everywhere.
        messages: The conversation, oldest first; the last is the user's, or a tool's result.
        constraints: The caller's wishes about who answers.
        sampling: The caller's values; None leaves them to the expert.
        deadline: Point on the event loop's clock, in seconds; None: no deadline.
        documents: Texts the answer is to rest on.
        shape: What the answer may consist of, beside plain text.
        user: The caller's own name for the person that asks; for audit, never sent on.
        visible: Experts the caller may use; None: all there are.
        trace: Headers that carry the trace on to backends, `traceparent` among them.
        joins: Joins the caller may use, by name; empty: all.
        request_id: What the caller calls its request, for the log; empty: nothing of its own.
        tenant: Name of the tenant that asks, for the log and for its share of backends.
        subject: Which key, certificate or person of it, for the log.
        priority: Who goes first where there is more work than capacity: higher before lower.
        first_token_timeout_s: Longest wait for the first token; None: the backend's.
        stall_timeout_s: Longest silence between tokens; None: the backend's.
        begin_by: Point on the event loop's clock by which the deadline lets the first token come;
            None: the deadline itself.
        begun: Experts have written for the answer already; this is what comes of their words.
        catalog: The experts as they stood when it was admitted, with the adapters that are to
            write the answer; None: as they stand when it is answered.
        aside: It is a copy, asked beside the answers: what goes wrong with it is held against no
            replica, and it is asked of no other.
    """

    answer_id: str
    messages: tuple[Message, ...]
    constraints: Constraints = Constraints()
    sampling: Sampling = Sampling()
    deadline: float | None = None
    documents: tuple[Document, ...] = ()
    shape: Shape = Shape()
    user: str = ""
    visible: frozenset[str] | None = None
    trace: Mapping[str, str] = {}
    joins: frozenset[str] = frozenset()
    request_id: str = ""
    tenant: str = ""
    subject: str = ""
    priority: int = 0
    first_token_timeout_s: float | None = None
    stall_timeout_s: float | None = None
    begin_by: float | None = None
    begun: bool = False
    catalog: Catalog | None = None
    aside: bool = False

    def session(self) -> str:
        """Name the conversation: who talks, and how it began; later turns have the same name.

        Clients send no such name, and the whole conversation each time.
        """
        opening = next((m.content for m in self.messages if m.role is Role.USER), "")
        return "\0".join((self.tenant, self.user, opening))


def may_use(question: Question, expert: str) -> bool:
    """Tell whether a question may be put to an expert: by its caller's rights and wishes.

    Args:
        question: What is asked, and for whom.
        expert: Name of the expert.
    """
    wishes = question.constraints
    visible = question.visible is None or expert in question.visible
    return visible and expert not in wishes.deny and (not wishes.allow or expert in wishes.allow)
