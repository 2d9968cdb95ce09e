"""Who answers where an expert's servers are gone, over gRPC: by policy, and always said."""

from typing import Any

import pytest

from tame_router.catalog.expert import Catalog
from tame_router.chat import FallbackKind, Format, ResponseFormat
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import (
    Answer,
    DecisionMade,
    Delta,
    Event,
    ExpertFinish,
    ExpertStart,
    Fallback,
    Final,
)
from tame_router.client.joined import Note
from tame_router.errors import (
    BackendOverloadedError,
    BackendSilentError,
    BackendUnavailableError,
    DeadlineExceededError,
    StreamBrokenError,
    TameError,
)
from tests.fakes.vllm import BASE_MODEL
from tests.fakes.vllm_script import Cut, HangUp, Pace, Refuse, Silence
from tests.fallback_fixture import EVERY_STEP, Servers
from tests.joined_fixture import BOTH
from tests.small_experts import NOTICES, QUESTIONS, prompt

pytestmark = [
    pytest.mark.anyio,
    # LiteLLM warns about itself under Pydantic 2.14, and leaves tasks behind when a loop ends.
    pytest.mark.filterwarnings("ignore"),
]

LEGAL = QUESTIONS["legal"][0]
PROVIDER = {"backend": "azure"}
GENERAL = {"expert": "general"}
LOCAL: dict[str, Any] = {"tenants": {"azure": ["local"]}}


async def events_of(client: AsyncClient, seen: list[Event] | None = None) -> list[Event]:
    """Ask by stream; what came before an error is in the list that is given."""
    found = [] if seen is None else seen
    async with client.stream(LEGAL) as events:
        async for event in events:
            found.append(event)
    return found


def told(answer: Answer, revision: str) -> Fallback:
    """Give what an answer tells of who wrote it, in the legal expert's place."""
    fallback = answer.fallback
    assert fallback is not None
    assert (fallback.instead_of, fallback.revision) == ("legal", revision)
    return fallback


async def test_the_base_model_answers_where_no_replica_has_the_adapter(
    servers: Servers, catalog: Catalog
) -> None:
    """With the expert's prompt and values; the order of events, and each of them, says so."""
    revision = catalog.expert("legal").live_revision
    servers.forget()
    for fake in servers.pool:
        fake.texts = {BASE_MODEL: "依基礎模型。"}
        fake.pace = Pace(token_s=0.002)
    async with servers.asking("base_model") as client:
        made, asked, note, start, *deltas, finish, final = await events_of(client)
    assert isinstance(made, DecisionMade)
    assert made.decision.expert == "legal"
    assert asked == ExpertStart(expert="legal", revision=revision, notice=NOTICES["legal"]["zh-TW"])
    assert isinstance(note, Note)
    assert (note.expert, note.revision, note.reason) == ("legal", revision, "ADAPTER_NOT_LOADED")
    assert isinstance(start, ExpertStart)
    assert (start.expert, start.revision) == ("legal", "")
    assert start.fallback == Fallback(
        kind=FallbackKind.BASE_MODEL,
        instead_of="legal",
        revision=revision,
        reason="ADAPTER_NOT_LOADED",
        backend="local",
    )
    first, own = start.notice.split("\n")
    assert first.startswith("本回答由未經專業訓練的基礎模型撰寫，並非出自「法律」專家")
    assert own == NOTICES["legal"]["zh-TW"]
    assert "".join(d.text for d in deltas if isinstance(d, Delta)) == "依基礎模型。"
    assert {(d.expert, d.revision) for d in deltas if isinstance(d, Delta)} == {("legal", "")}
    assert isinstance(finish, ExpertFinish)
    assert (finish.fallback, finish.notice) == (start.fallback, start.notice)
    assert isinstance(final, Final)
    assert final.usage == finish.usage
    bodies = [chat.body for fake in servers.pool for chat in fake.chats]
    (written,) = [body for body in bodies if body["model"] == BASE_MODEL]
    assert written["messages"][0]["content"] == prompt("legal")
    assert written["temperature"] == 0.25


async def test_another_expert_answers_where_the_pool_is_gone(
    servers: Servers, catalog: Catalog
) -> None:
    """The dead pool is not asked for its base model first; the other's own prompt is used."""
    servers.kill()
    async with servers.asking(*EVERY_STEP) as client:
        answer = await client.chat(LEGAL)
    fallback = told(answer, catalog.expert("legal").live_revision)
    assert (fallback.kind, fallback.backend) == (FallbackKind.EXPERT, "second")
    assert fallback.reason == "BACKEND_UNAVAILABLE"
    assert not fallback.external
    assert answer.content == "由別人回答。"
    assert [note.reason for note in answer.notes] == ["BACKEND_UNAVAILABLE"]
    assert [one.expert for one in answer.experts] == ["general"]
    (chat,) = servers.second.chats
    assert chat.body["messages"][0]["content"] == prompt("general")


async def test_a_provider_answers_for_tenants_that_may(servers: Servers, catalog: Catalog) -> None:
    """The expert's prompt and the answer's form go there; it is said that it is outside."""
    servers.kill()
    form = ResponseFormat(format=Format.JSON_OBJECT)
    async with servers.asking(PROVIDER, **LOCAL) as client:
        answer = await client.chat(LEGAL, response_format=form)
    fallback = told(answer, catalog.expert("legal").live_revision)
    assert (fallback.kind, fallback.backend) == (FallbackKind.BACKEND, "azure")
    assert fallback.external
    assert "外部服務" in answer.experts[0].notice
    (chat,) = servers.second.chats
    assert chat.body["model"] == "cloud"
    assert chat.body["messages"][0]["content"] == prompt("legal")
    assert chat.body["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("steps", "policy", "wishes"),
    [
        ((), {}, {}),
        ((PROVIDER,), {}, {}),
        ((PROVIDER,), {"tenants": {"azure": ["press"]}}, {}),
        ((GENERAL,), {}, {"no_fallback": True}),
        ((GENERAL,), {}, {"deny": ["general"]}),
        ((GENERAL,), {}, {"expert": "legal"}),
        ((GENERAL,), {"tenants": {"second": ["press"]}}, {}),
        (("base_model",), {}, {}),
    ],
)
async def test_nobody_answers_whom_policy_tenant_or_caller_do_not_want(
    servers: Servers, steps: Any, policy: dict[str, Any], wishes: dict[str, Any]
) -> None:
    """The error is that of the expert, and no other server has seen the question."""
    servers.kill()
    async with servers.asking(*steps, **policy) as client:
        with pytest.raises(BackendUnavailableError) as caught:
            await client.chat(LEGAL, **wishes)
    assert caught.value.reason == "BACKEND_UNAVAILABLE"
    assert not [name for name in caught.value.metadata if name.startswith("fallback")]
    assert caught.value.retry_after_s == 1
    assert not servers.second.chats


async def test_who_insists_on_a_revision_gets_that_or_nothing(
    servers: Servers, catalog: Catalog
) -> None:
    """The base model is not it, though it may answer for who insists on the expert."""
    servers.forget()
    revision = catalog.expert("legal").live_revision
    async with servers.asking("base_model") as client:
        assert (await client.chat(LEGAL, expert="legal")).fallback
        with pytest.raises(TameError) as caught:
            await client.chat(LEGAL, expert="legal", revision=revision)
    assert caught.value.reason == "ADAPTER_NOT_LOADED"


async def test_every_reason_is_told_where_nobody_answers(servers: Servers) -> None:
    """The expert's error stands, with those of all who were asked; each is asked once."""
    servers.kill()
    servers.second.always = Refuse(status=500)
    events: list[Event] = []
    async with servers.asking(GENERAL, PROVIDER, "base_model", **LOCAL) as client:
        with pytest.raises(BackendUnavailableError) as caught:
            await events_of(client, events)
    error = caught.value
    assert error.reason == "BACKEND_UNAVAILABLE"
    assert error.metadata["fallback_1"] == "expert general: BACKEND_FAILED"
    assert error.metadata["fallback_2"] == "backend azure: BACKEND_FAILED"
    assert "fallback_3" not in error.metadata
    assert "nobody answered in its place (expert general: " in error.message
    assert [(n.expert, n.reason) for n in events if isinstance(n, Note)] == [
        ("legal", "BACKEND_UNAVAILABLE"),
        ("general", "BACKEND_FAILED"),
        ("legal", "BACKEND_FAILED"),
    ]
    assert [chat.body["model"] for chat in servers.second.chats] == [BASE_MODEL, "cloud"]


async def test_an_answer_that_has_begun_is_its_experts(servers: Servers) -> None:
    """Whoever wrote the first word, nobody else takes the pen."""
    for fake in servers.pool:
        fake.always = Cut(after_events=3)
    async with servers.asking(GENERAL, sections={"local": {"replicas": {"most_failovers": 0}}}) as (
        client
    ):
        with pytest.raises(StreamBrokenError):
            await client.chat(LEGAL)
        assert not servers.second.chats
        servers.kill()
        servers.second.next(Cut(after_events=3))
        with pytest.raises(StreamBrokenError) as caught:
            await client.chat(LEGAL)
    assert caught.value.metadata["expert"] == "general"
    assert len(servers.second.chats) == 1


async def test_overload_is_told_to_callers(servers: Servers) -> None:
    """It says when to come back; only where the operator says so another is asked."""
    for fake in servers.pool:
        fake.always = Refuse(status=429, headers=(("Retry-After", "7"),))
    async with servers.asking(GENERAL) as client:
        with pytest.raises(BackendOverloadedError) as caught:
            await client.chat(LEGAL)
    assert caught.value.retry_after_s == 7
    async with servers.asking(GENERAL, on_overload=True) as client:
        answer = await client.chat(LEGAL)
    assert answer.fallback
    assert answer.fallback.reason == "BACKEND_OVERLOADED"


async def test_the_time_to_the_first_word_is_one(servers: Servers) -> None:
    """Silence uses it up: what is left is for who answers; after it nobody is asked."""
    for fake in servers.pool:
        fake.always = Silence(events=None)
    hasty = {"local": {"first_token_timeout_s": 0.2, "replicas": {"most_failovers": 0}}}
    async with servers.asking(GENERAL, within_s=0.1, sections=hasty) as client:
        with pytest.raises(BackendSilentError):
            await client.chat(LEGAL)
        with pytest.raises(DeadlineExceededError):
            await client.chat(LEGAL, timeout_s=0.1)
        assert not servers.second.chats
    async with servers.asking(GENERAL, sections=hasty) as client:
        answer = await client.chat(LEGAL)
        assert answer.fallback
        assert answer.fallback.reason == "BACKEND_SILENT"
    servers.kill()
    servers.second.always = Silence(events=None)
    async with servers.asking(GENERAL, within_s=3) as client:
        with pytest.raises(BackendUnavailableError) as caught:
            await client.chat(LEGAL)
    assert caught.value.metadata["fallback_1"] == "expert general: BACKEND_SILENT"


async def test_where_no_expert_of_several_is_there_one_answers_for_the_lead(
    servers: Servers,
) -> None:
    """Notes tell of all of them, and then it is as with one."""
    servers.kill()
    async with servers.asking(GENERAL) as client:
        answer = await client.chat(LEGAL, join="panel", allow=[*BOTH["allow"], "general"])
    lead = answer.decision.expert
    assert [note.expert for note in answer.notes] == list(answer.decision.experts)
    assert answer.content == "由別人回答。"
    assert answer.fallback
    assert (answer.fallback.instead_of, answer.experts[0].expert) == (lead, "general")


async def test_an_expert_may_have_its_own_way(servers: Servers) -> None:
    """Its card wins over the settings, in both directions."""
    card = servers.settings.experts_dir / "legal/expert.yaml"
    text = card.read_text(encoding="utf-8")
    servers.kill()
    card.write_text(f"{text}fallback: [base_model, expert: general]\n", encoding="utf-8")
    async with servers.asking() as client:
        assert (await client.chat(LEGAL)).fallback
    card.write_text(f"{text}fallback: []\n", encoding="utf-8")
    async with servers.asking(GENERAL) as client:
        with pytest.raises(BackendUnavailableError):
            await client.chat(LEGAL)
        assert (await client.chat(QUESTIONS["medical"][0])).fallback


async def test_a_single_server_that_hangs_up(servers: Servers) -> None:
    """What holds for a pool holds for one server."""
    one = {"base_urls": [servers.pool[0].base_url]}
    servers.pool[0].next(HangUp())
    async with servers.asking(GENERAL, sections={"local": one}) as client:
        assert (await client.chat(LEGAL)).fallback
        assert not (await client.chat(LEGAL)).fallback
