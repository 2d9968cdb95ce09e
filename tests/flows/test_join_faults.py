"""What experts do wrong among others: the answer is what the others gave, and a note says so."""

import anyio.to_thread
import pytest

from tame_router.chat import FinishReason, Sampling
from tame_router.client.async_client import AsyncClient
from tame_router.client.event import Delta
from tame_router.client.joined import Draft, Note
from tame_router.config import Settings
from tame_router.errors import NoExpertAnsweredError, TameError
from tests.fakes.vllm import BASE_MODEL, FakeVllm
from tests.fakes.vllm_script import Cut, Fault, HangUp, Pace, Refuse, Silence
from tests.flows.test_answer import ask
from tests.joined_fixture import BOTH, JOINS, LEGAL, all_closed, asking
from tests.joined_order import check_order, words

pytestmark = pytest.mark.anyio

DEADLINE_S = 4.0
FAULTS: dict[str, Fault] = {
    "refuses": Refuse(status=400),
    "is overloaded": Refuse(status=503),
    "is dead": HangUp(),
    "stalls": Silence(events=None),
    "falls silent": Silence(events=4),
    "dies in the middle": Cut(after_bytes=900),
}


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("broken", ["legal", "medical"])
@pytest.mark.parametrize("name", list(FAULTS))
async def test_what_one_expert_does_wrong_leaves_the_others_words(
    settings: Settings,
    fake_vllm: FakeVllm,
    names: dict[str, str],
    join: str,
    broken: str,
    name: str,
) -> None:
    """In either position: an answer within the deadline, a note, and nothing left open."""
    other = "medical" if broken == "legal" else "legal"
    fake_vllm.faults = {names[broken]: FAULTS[name]}
    # Whoever is likelier must not decide the vote before the other is heard.
    fake_vllm.paces = {names[other]: Pace(first_token_s=0.2)}
    async with asking(settings) as client:
        events = await ask(client, LEGAL, join=join, timeout_s=DEADLINE_S, **BOTH)
    check_order(events)
    notes = [e for e in events if isinstance(e, Note)]
    if join != "vote" or broken == "legal":
        assert [note.expert for note in notes] == [broken]
    own = fake_vllm.texts[names[other]]
    assert own in words(events) or (join == "fuse" and words(events) == "都要。")
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0


@pytest.mark.parametrize("join", ["second_opinion", "fuse"])
@pytest.mark.parametrize("name", [*FAULTS, "is slow", "babbles"])
async def test_what_who_writes_at_the_end_does_wrong(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str, name: str
) -> None:
    """The lead's words are there in time all the same, or what was written; a note says so."""
    if name in FAULTS:
        fake_vllm.faults = {BASE_MODEL: FAULTS[name]}
    else:
        fake_vllm.texts[BASE_MODEL] = "嗯" * (40 if name == "is slow" else 1_500)
        fake_vllm.paces = {BASE_MODEL: Pace(token_s=0.4 if name == "is slow" else 0.02)}
    async with asking(settings) as client:
        events = await ask(
            client,
            LEGAL,
            join=join,
            sampling=Sampling(max_tokens=1_800),
            timeout_s=DEADLINE_S,
            **BOTH,
        )
    check_order(events)
    # The fallback is not among those allowed, so the base model writes under the lead's name.
    assert [e.expert for e in events if isinstance(e, Note)] == ["legal"]
    assert "依勞基法。" in words(events) or (join == "fuse" and words(events).strip())
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("babbling", ["legal", "medical"])
async def test_who_never_ends_is_cut(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str, babbling: str
) -> None:
    """One that would write until the deadline leaves room for the answer, with a note."""
    fake_vllm.texts[names[babbling]] = "嗯" * 1_500
    fake_vllm.paces = {names[babbling]: Pace(token_s=0.01)}
    sampling = Sampling(max_tokens=1_800)
    async with asking(settings) as client:
        events = await ask(
            client, LEGAL, join=join, sampling=sampling, timeout_s=DEADLINE_S, **BOTH
        )
    check_order(events)
    notes = [e for e in events if isinstance(e, Note)]
    assert [note.expert for note in notes] == [babbling]
    assert notes[0].reason in {"DEADLINE_EXCEEDED", "NOT_WAITED_FOR"}
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("slow", ["legal", "medical"])
async def test_who_is_slow_is_given_up(
    settings: Settings,
    fake_vllm: FakeVllm,
    names: dict[str, str],
    join: str,
    slow: str,
) -> None:
    """One that writes on, too slowly to be done in time, is left before then, with a note."""
    fake_vllm.texts[names[slow]] = "嗯" * 40
    fake_vllm.paces = {names[slow]: Pace(token_s=0.4)}
    async with asking(settings) as client:
        events = await ask(client, LEGAL, join=join, timeout_s=DEADLINE_S, **BOTH)
    check_order(events)
    (note,) = [e for e in events if isinstance(e, Note)]
    assert note.expert == slow
    assert note.reason in {"DEADLINE_EXCEEDED", "NOT_WAITED_FOR"}
    other = "medical" if slow == "legal" else "legal"
    own = fake_vllm.texts[names[other]]
    assert own in words(events) or (
        join in {"fuse", "second_opinion"} and "都要。" in words(events)
    )
    await all_closed(fake_vllm)
    assert fake_vllm.running == 0


@pytest.mark.parametrize(
    ("join", "limits"),
    [
        ("fuse", {"timeout_s": DEADLINE_S}),
        ("fuse", {"draft_timeout_s": 1.0}),
        ("best_of", {"timeout_s": DEADLINE_S}),
    ],
)
async def test_experts_that_all_babble_are_used_as_far_as_they_are(
    settings: Settings,
    fake_vllm: FakeVllm,
    names: dict[str, str],
    join: str,
    limits: dict[str, float],
) -> None:
    """Where every draft meets its time, what was written is the answer, with a note for each."""
    for name in ("legal", "medical"):
        fake_vllm.texts[names[name]] = "嗯" * 1_500
        fake_vllm.paces[names[name]] = Pace(token_s=0.01)
    sampling = Sampling(max_tokens=2_000)
    timeout_s = limits.get("timeout_s")
    own = {name: limit for name, limit in limits.items() if name != "timeout_s"}
    async with asking(settings, **own) as client:
        events = await ask(client, LEGAL, join=join, sampling=sampling, timeout_s=timeout_s, **BOTH)
    check_order(events)
    notes = [e for e in events if isinstance(e, Note)]
    assert sorted(note.expert for note in notes) == ["legal", "medical"]
    assert {note.reason for note in notes} == {"DEADLINE_EXCEEDED"}
    assert all(("draft_timeout_s" in note.message) == (timeout_s is None) for note in notes)
    assert words(events) == "都要。" if join == "fuse" else "嗯嗯" in words(events)
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", ["fuse", "best_of"])
async def test_one_that_babbles_beside_one_that_refuses(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Nobody finishes, and what the one wrote is a whole answer all the same, cut short."""
    fake_vllm.faults = {names["legal"]: Refuse(status=500)}
    fake_vllm.texts[names["medical"]] = "嗯" * 1_500
    fake_vllm.paces = {names["medical"]: Pace(token_s=0.01)}
    sampling = Sampling(max_tokens=2_000)
    async with asking(settings) as client:
        answer = await client.chat(
            LEGAL, join=join, sampling=sampling, timeout_s=DEADLINE_S, **BOTH
        )
    assert answer.content.startswith("嗯嗯")
    assert answer.final.finish_reason is FinishReason.LENGTH
    assert answer.experts == ()
    assert {note.expert for note in answer.notes} == {"legal", "medical"}


@pytest.mark.parametrize("join", ["fuse", "vote", "best_of"])
async def test_a_draft_has_an_end(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """One that writes more than is held is cut, with a note."""
    fake_vllm.texts[names["legal"]] = "嗯" * 1_500
    fake_vllm.max_model_len = 16_384
    # The vote is not over before the babbler is, though the other has answered.
    fake_vllm.logprobs = {names["medical"]: -9.0}
    async with asking(settings, most_waiting_chars=1_024) as client:
        events = await ask(client, LEGAL, join=join, sampling=Sampling(max_tokens=8_000), **BOTH)
    assert [(e.expert, e.reason) for e in events if isinstance(e, Note)] == [("legal", "TOO_LONG")]
    check_order(events)
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", JOINS)
async def test_a_caller_that_leaves_closes_everything(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Cancelled, all experts' streams end at once."""
    fake_vllm.faults = {
        names["legal"]: Silence(events=4),
        names["medical"]: Silence(events=4),
    }
    async with client.stream(LEGAL, join=join, drafts=True, **BOTH) as events:
        heard: set[str] = set()
        async for event in events:
            if isinstance(event, Delta | Draft):
                heard.add(event.expert)
            if heard:
                break
        while len(fake_vllm.chats) < 2:
            await anyio.to_thread.run_sync(lambda: fake_vllm.inbox.get(timeout=5))
    await all_closed(fake_vllm)


@pytest.mark.parametrize("join", JOINS)
async def test_nobody_left_is_an_error_with_every_reason(
    settings: Settings, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Each expert's reason is in the message and the facts."""
    fake_vllm.faults = {names["legal"]: HangUp(), names["medical"]: Refuse(status=500)}
    async with asking(settings) as client:
        with pytest.raises(NoExpertAnsweredError, match=r"legal: .*medical: ") as caught:
            await client.chat(LEGAL, join=join, **BOTH)
    assert caught.value.metadata["expert.legal"] == "BACKEND_UNAVAILABLE"
    assert caught.value.metadata["expert.medical"] == "BACKEND_FAILED"


@pytest.mark.parametrize("join", JOINS)
async def test_a_deadline_before_any_first_word(
    client: AsyncClient, fake_vllm: FakeVllm, names: dict[str, str], join: str
) -> None:
    """Where no expert can have begun, the answer ends with the reason, in time."""
    fake_vllm.pace = Pace(first_token_s=5)
    with pytest.raises(TameError) as caught:
        await client.chat(LEGAL, join=join, timeout_s=0.4, **BOTH)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    await all_closed(fake_vllm)
