"""The one key or token: whatever else came, nothing is ever chosen."""

from hypothesis import given
from hypothesis import strategies as st

from tame_router.identity.bearer import read_bearer
from tame_router.identity.credentials import Credentials
from tame_router.identity.refusal import Reason, Refused

VALUES = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(["Bearer abc", "bearer abc", "Bearer tame_a", "tame_a", "Basic x"]),
    ),
    max_size=3,
)


def read(sent: Credentials) -> str | Reason:
    """Give the key or token, or why there is none."""
    try:
        return read_bearer(sent)
    except Refused as refused:
        return refused.reason


@given(authorization=VALUES, api_key=VALUES)
def test_at_most_one_value_is_ever_read(authorization: list[str], api_key: list[str]) -> None:
    """What is read came, is ASCII without a space, and nothing else of another value came."""
    sent = Credentials(authorization=tuple(authorization), api_key=tuple(api_key))
    found = read(sent)
    if isinstance(found, Reason):
        assert found in {Reason.SEVERAL, Reason.MALFORMED}
        return
    if not found:
        assert not authorization
        assert not api_key
        return
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert {value[7:] for value in authorization} | set(api_key) == {found}
    assert len(authorization) <= 1
    assert len(api_key) <= 1


def test_nothing_is_nothing() -> None:
    """Without headers there is no key or token, which is no fault."""
    assert read_bearer(Credentials(certificate=b"x")) == ""
