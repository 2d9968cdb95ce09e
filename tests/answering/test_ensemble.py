"""Asking several experts at once."""

import pytest
from msgspec.structs import replace

from tame_router.answering.dispatch import Dispatch
from tame_router.answering.ensemble import Ensemble, require_judge
from tame_router.answering.event import Delta, Event
from tame_router.answering.plan import Plan, make_plan
from tame_router.catalog.expert import Catalog
from tame_router.chat import Document, Message, Role
from tame_router.config import JoinSettings
from tame_router.errors import ConfigError
from tame_router.routing.decision import Join
from tests.answering.conftest import Events
from tests.answering.join_scripts import QUESTION
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Silence
from tests.joined_fixture import all_closed

pytestmark = pytest.mark.anyio


def both(catalog: Catalog, join: Join = Join.PANEL, settings: JoinSettings | None = None) -> Plan:
    """Plan an answer of two experts."""
    experts = [(catalog.expert("legal"), 0.6), (catalog.expert("medical"), 0.4)]
    return make_plan(
        join,
        experts,
        catalog.expert("general"),
        QUESTION,
        settings or JoinSettings(),
        left_s=None,
    )


async def test_each_request_has_a_name_of_its_own(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, events: Events
) -> None:
    """The lead's is the answer's; a backend may take two of one name for the same."""
    await Ensemble(dispatch).run(both(catalog), QUESTION, "en", events.emit)
    assert {chat.headers["x-request-id"] for chat in fake_vllm.chats} == {
        "id-12345",
        "id-12345-1",
    }


async def test_a_caller_who_cannot_take_an_event_stops_everybody(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """The error of the place where events go comes out as it is, and all streams end."""
    fake_vllm.faults = {catalog.expert("medical").live_revision: Silence(events=4)}

    async def refuse(event: Event) -> None:
        if isinstance(event, Delta):
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await Ensemble(dispatch).run(both(catalog), QUESTION, "en", refuse)
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", [Join.FUSE, Join.SECOND_OPINION, Join.BEST_OF])
async def test_who_writes_knows_conversation_and_documents(
    dispatch: Dispatch, catalog: Catalog, fake_vllm: FakeVllm, events: Events, join: Join
) -> None:
    """Writer and judge read the turns before; drafts' numbers of documents are spelt out."""
    fake_vllm.text = "應返還[1]。"
    turns = (
        Message(role=Role.USER, content="房東不退押金"),
        Message(role=Role.ASSISTANT, content="請看合約。"),
        Message(role=Role.USER, content="然後呢？"),
    )
    asked = replace(QUESTION, messages=turns, documents=(Document(text="合約全文"),))
    plan = both(catalog, join, JoinSettings(judge="general"))
    await Ensemble(dispatch).run(plan, asked, "zh-TW", events.emit)
    words = fake_vllm.chats[-1].body["messages"][-1]["content"]
    assert "房東不退押金" in words
    assert "請看合約。" in words
    assert "> 應返還（文件 1）。" in words
    assert "合約全文" not in words


def test_a_judge_must_be_an_expert(catalog: Catalog) -> None:
    """A name that is none stops the start, and the experts are listed."""
    require_judge(JoinSettings(judge="legal"), catalog)
    require_judge(JoinSettings(), catalog)
    with pytest.raises(ConfigError, match=r"joins.judge names 'oracle'.*electronics, general"):
        require_judge(JoinSettings(judge="oracle"), catalog)
