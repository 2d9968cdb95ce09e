"""The account of one answer: recorded once, receipted where it was whole."""

from tame_router.admission.books import Books
from tame_router.admission.call import Call
from tame_router.admission.observation import Observation
from tame_router.audit.record import Texts
from tame_router.receipt.digest import asked, canonical_text, text_digest
from tame_router.telemetry.recording import Recording


class Account:
    """Closes the books of one answer.

    Args:
        call: The answer that is asked for.
        seen: What happened in it.
        books: Where it is recorded and receipted.
        recording: Its trace and numbers.
    """

    __slots__ = ("_books", "_call", "_closed", "_recording", "_seen")

    def __init__(self, call: Call, seen: Observation, books: Books, recording: Recording) -> None:
        self._call = call
        self._seen = seen
        self._books = books
        self._recording = recording
        self._closed = False

    def close(self, outcome: str) -> str:
        """Record how the answer ended, and give its receipt.

        Only the first call counts: what goes wrong after the end does not end it another time.

        Args:
            outcome: `ok`, `cancelled`, or the reason of an error.
        """
        if self._closed:
            return ""
        self._closed = True
        question, days = self._call.question, self._call.caller.tenant.retain_texts_days
        signed = self._books.signed and outcome == "ok"
        words = ""
        if days or signed:
            words = canonical_text(asked(question.messages, question.documents, question.shape))
        record = self._seen.record(outcome, text_digest(words) if words else "")
        self._recording.answered(record)
        kept = Texts(question=words, answer=self._seen.text, retain_days=days) if days else None
        self._books.journal.record(record, kept)
        return self._books.signer.sign(record) if signed else ""
