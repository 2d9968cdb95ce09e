"""From an API key to a principal."""

from datetime import datetime

from tame_router.identity import api_key
from tame_router.identity.principal import Method, Principal
from tame_router.identity.refusal import Reason, Refused
from tame_router.tenancy.snapshot import Snapshot


def identify_key(key: str, snapshot: Snapshot, now: datetime) -> Principal:
    """Tell whose key it is.

    A key that is not known and one with another secret take the same steps. Only of a key that
    is refused does the checksum matter: it tells the operator whether it was mistyped.

    Raises:
        Refused: When it is nobody's, or does not count any more.
    """
    key_id = api_key.named(key)
    if key_id is None:
        raise Refused(Reason.KEY_MALFORMED)
    kept = snapshot.keys.get(key_id)
    same = api_key.matches(key, kept.digest if kept else None)
    if kept is None or not same:
        if api_key.parse(key) is None:
            raise Refused(Reason.KEY_MALFORMED)
        raise Refused(Reason.KEY_WRONG, key_id)
    if not kept.counts(now):
        raise Refused(Reason.KEY_ENDED, key_id)
    return Principal(tenant=kept.tenant, subject=key_id, method=Method.API_KEY, scopes=kept.scopes)
