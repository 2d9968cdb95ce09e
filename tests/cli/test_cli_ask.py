"""`tame ask`."""

import io
import json
import sys
from collections.abc import Awaitable, Callable

import anyio.to_thread
import pytest

from tame_router.catalog.expert import Catalog
from tests.cli.conftest import Result, Tame
from tests.cli.terminal import Terminal
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Cut, Pace, Raw, Refuse, Silence
from tests.fallback_fixture import Servers
from tests.scripted_service import serving
from tests.small_experts import NOTICES, QUESTIONS

pytestmark = pytest.mark.anyio

LEGAL = QUESTIONS["legal"][0]
Ask = Callable[..., Awaitable[Result]]


@pytest.fixture
def ask(tame: Tame, address: str) -> Ask:
    """Give a function that runs `tame ask` against a router of this process."""

    async def run(*arguments: str) -> Result:
        return await anyio.to_thread.run_sync(lambda: tame("ask", "--server", address, *arguments))

    return run


async def test_the_answer_is_standard_output(
    ask: Ask, fake_vllm: FakeVllm, catalog: Catalog
) -> None:
    """The words alone go to standard output; who answers, and what it cost, to standard error."""
    fake_vllm.text = "可以 [bold]拿[/] 資遣費。"
    result = await ask(LEGAL)
    assert result.code == 0
    assert result.out == f"{fake_vllm.text}\n"
    head, *_ = result.err.splitlines()
    assert head.startswith("legal 0.")
    assert "medical 0." in head
    assert "MOST_PROBABLE" in result.err
    assert NOTICES["legal"]["zh-TW"] in result.err
    assert catalog.expert("legal").live_revision in result.err
    assert "tokens" in result.err


async def test_events_are_lines_for_machines(ask: Ask, fake_vllm: FakeVllm) -> None:
    """With --json every event is an object, with times in seconds."""
    fake_vllm.text = "可以。"
    result = await ask("--json", LEGAL)
    events = [json.loads(line) for line in result.out.splitlines()]
    kinds = list(dict.fromkeys(event["event"] for event in events))
    assert kinds == ["decision_made", "expert_start", "delta", "expert_finish", "final"]
    assert "".join(e["text"] for e in events if e["event"] == "delta") == "可以。"
    assert events[-1]["finish_reason"] == "stop"
    assert 0 < events[-1]["elapsed"] < 10
    assert 0 < events[-2]["time_to_first_token"] <= events[-2]["elapsed"]
    assert result.err == ""


async def test_an_expert_can_be_named(ask: Ask, fake_vllm: FakeVllm, catalog: Catalog) -> None:
    """`--expert` pins, and `--max-tokens` goes to the backend."""
    result = await ask("--expert", "medical", "--max-tokens", "3", LEGAL)
    assert result.code == 0
    assert result.err.startswith("medical 1.00 · PINNED · ")
    assert fake_vllm.chats[0].body["model"] == catalog.expert("medical").live_revision
    assert fake_vllm.chats[0].body["max_tokens"] == 3


async def test_the_general_expert_has_no_adapter(ask: Ask) -> None:
    """An answer of the base model says so, and an expert without notice shows none."""
    result = await ask(QUESTIONS["general"][1])
    assert result.code == 0
    assert "base model, no adapter" in result.err


async def test_several_experts_are_sections(ask: Ask, fake_vllm: FakeVllm) -> None:
    """Plain text with headings in a pipe; what each did is told on standard error."""
    fake_vllm.text = "可以。"
    result = await ask("--join", "panel", "--experts", "2", LEGAL)
    assert result.code == 0
    assert result.out == "【法律】\n可以。\n\n【醫療】\n可以。\n"
    assert result.err.startswith("legal 0.")
    assert ", medical 0." in result.err
    assert "· panel" in result.err
    assert "medical · expert · medical--" in result.err


async def test_headings_have_colour_on_a_terminal(
    ask: Ask, fake_vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The router's own words stand out from the experts'."""
    fake_vllm.text = "可以。"
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    await ask("--join", "panel", "--experts", "2", LEGAL)
    assert terminal.getvalue().startswith("\x1b[1;36m【法律】\n\x1b[0m可以。")


async def test_what_is_told_on_a_terminal_begins_a_line(
    ask: Ask, fake_vllm: FakeVllm, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a note nor an error is glued to the last word; in a pipe nothing is put between."""
    terminal = Terminal()
    fake_vllm.text = "可以，但要看合約。"
    fake_vllm.faults = {catalog.expert("legal").live_revision: Cut(after_events=4)}
    with monkeypatch.context() as patched:
        patched.setenv("NO_COLOR", "1")
        patched.setattr(sys, "stdout", terminal)
        patched.setattr(sys, "stderr", terminal)
        await ask("--join", "panel", "--experts", "2", LEGAL)
        await ask(LEGAL)
    lines = terminal.getvalue().splitlines()
    assert [line[:5] for line in lines if "STREAM_BROKEN" in line] == ["legal", "tame:"]
    piped = await ask(LEGAL)
    assert (piped.code, piped.out) == (1, "可以，")


async def test_voices_are_told_apart(
    ask: Ask, fake_vllm: FakeVllm, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interleaved, each sentence has its expert's title in front, whoever speaks when."""
    legal, medical = (catalog.expert(name).live_revision for name in ("legal", "medical"))
    fake_vllm.texts = {legal: "可以。\n\n他說「要賠。」再來", medical: "先冰敷。"}
    fake_vllm.pace = Pace(token_s=0.01)
    panel = ("--join", "panel", "--interleaved", "--allow", "legal", "--allow", "medical")
    result = await ask(*panel, LEGAL)
    assert result.code == 0
    lines = result.out.splitlines()
    assert [x for x in lines if "法律" in x] == [
        "【法律】 可以。",
        "【法律】 他說「要賠。」",
        "【法律】 再來",
    ]
    assert [x for x in lines if "法律" not in x] == ["【醫療】 先冰敷。"]
    assert "medical · expert · " in result.err
    machine = await ask("--json", *panel, LEGAL)
    speakers = [e["expert"] for e in map(json.loads, machine.out.splitlines()) if "text" in e]
    assert speakers != sorted(speakers)
    fake_vllm.faults = {legal: Cut(after_events=4)}
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    broken = await ask(*panel, LEGAL)
    assert "\x1b[1;36m【法律】\x1b[0m 可以。" in terminal.getvalue()
    assert "legal: STREAM_BROKEN: " in broken.err


async def test_one_voice_needs_no_name(ask: Ask, fake_vllm: FakeVllm) -> None:
    """Where one expert answers, or drafts are made one answer, words come as ever."""
    fake_vllm.text = "可以。"
    for more in ((), ("--join", "vote")):
        result = await ask("--interleaved", *more, LEGAL)
        assert result.out == "可以。\n"


async def test_who_may_answer_is_named(ask: Ask) -> None:
    """`--allow` and `--deny` are the API's, with its refusals."""
    allowed = await ask("--allow", "medical", LEGAL)
    assert allowed.err.startswith("medical 1.00 · ONLY_ALLOWED")
    denied = await ask("--deny", "legal", LEGAL)
    assert not denied.err.startswith("legal")
    both = await ask("--expert", "legal", "--deny", "legal", LEGAL)
    assert (both.code, both.out) == (2, "")
    assert "expert 'legal' is pinned and may not answer by `allow` or `deny`" in both.err
    unknown = await ask("--allow", "nobody", LEGAL)
    assert "name expert 'nobody', which does not exist" in unknown.err


async def test_drafts_notes_and_tallies_are_told(
    ask: Ask, fake_vllm: FakeVllm, catalog: Catalog
) -> None:
    """All beside the answer, which alone is on standard output."""
    fake_vllm.text = "可以。"
    result = await ask("--join", "vote", "--experts", "2", "--drafts", LEGAL)
    assert result.out == "可以。\n"
    assert "draft of legal: 可以。" in result.err
    assert "→ 1.00 可以 (legal" in result.err
    fake_vllm.faults = {catalog.expert("medical").live_revision: Refuse(status=500)}
    noted = await ask("--join", "best_of", "--experts", "2", LEGAL)
    assert "medical: BACKEND_FAILED: " in noted.err
    assert noted.out == "可以。\n"


async def test_joined_events_are_lines_for_machines(ask: Ask, fake_vllm: FakeVllm) -> None:
    """Each kind has its name, and parts are told."""
    result = await ask("--json", "--join", "fuse", "--experts", "2", "--drafts", LEGAL)
    events = [json.loads(line) for line in result.out.splitlines()]
    assert {"draft", "delta", "expert_start"} <= {event["event"] for event in events}
    assert events[0]["decision"]["join"] == "fuse"
    assert [step["part"] for step in events[0]["steps"]] == ["draft", "draft", "joined"]
    assert {e["part"] for e in events if e["event"] == "delta"} == {"joined", "label"}


async def test_standard_input_can_be_the_question(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, fake_vllm: FakeVllm
) -> None:
    """`-` reads the question from a pipe."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(LEGAL))
    assert (await ask("-")).code == 0
    assert fake_vllm.chats[0].body["messages"][-1]["content"] == LEGAL


async def test_an_expert_that_writes_nothing_is_said_so(ask: Ask, fake_vllm: FakeVllm) -> None:
    """An empty answer is an empty line, with the reason beside it."""
    chunk = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    fake_vllm.next(Raw(body=chunk + b"data: [DONE]\n\n"))
    result = await ask(LEGAL)
    assert (result.code, result.out) == (0, "\n")
    assert "the expert wrote nothing" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((" ",), 2, "INVALID_REQUEST: messages[0].content is empty"),
        (("--max-tokens", "0", LEGAL), 2, "INVALID_REQUEST: sampling.max_tokens is 0"),
        (("bad \udcff byte",), 2, "INVALID_REQUEST: messages[0].content cannot be sent"),
        (("--expert", "astrology", LEGAL), 1, "EXPERT_NOT_FOUND: the constraints name"),
        (("--join", "choir", LEGAL), 2, "invalid choice"),
        (("--join", "fuse", "--experts", "9", LEGAL), 2, "max_experts is 9; with join"),
        (("--join", "fuse", "--max-tokens", "2", LEGAL), 2, "send 4 or more"),
        (("--timeout", "0", LEGAL), 2, "not a number of seconds above 0"),
        (("--timeout", "nan", LEGAL), 2, "not a number of seconds above 0"),
        (("--timeout", "soon", LEGAL), 2, "invalid"),
        (("--max-tokens", "99999999999", LEGAL), 2, "INVALID_REQUEST: sampling cannot be sent"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    ask: Ask, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """What the caller did wrong exits with 2, what is not there with 1, each with its reason."""
    result = await ask(*arguments)
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    assert "Traceback" not in result.err


async def test_a_backend_that_fails_is_told(ask: Ask, fake_vllm: FakeVllm) -> None:
    """The answer that cannot be given exits with 1 and the reason."""
    fake_vllm.next(Refuse(status=500))
    result = await ask(LEGAL)
    assert result.code == 1
    assert "tame: BACKEND_FAILED: " in result.err


async def test_patience_has_an_end(ask: Ask, fake_vllm: FakeVllm) -> None:
    """After `--timeout` the command gives up."""
    fake_vllm.next(Silence())
    result = await ask("--timeout", "0.2", LEGAL)
    assert result.code == 1
    assert "tame: DEADLINE_EXCEEDED: " in result.err


async def test_a_router_that_is_not_there_is_said_so(tame: Tame) -> None:
    """Nobody at the address exits with 1 and says what to check."""
    async with serving() as gone:
        pass
    result = await anyio.to_thread.run_sync(lambda: tame("ask", "--server", gone, "hello"))
    assert result.code == 1
    assert "the router cannot be reached" in result.err
    assert "check its address" in result.err


async def test_tame_ask_says_it_beside_the_answer(servers: Servers, tame: Tame) -> None:
    """The words alone go to standard output; who wrote them to standard error, before and after."""
    servers.kill()
    async with servers.asking({"expert": "general"}):
        address = servers.grpc[-1]

        def ask(*arguments: str) -> Result:
            return tame("ask", "--server", address, *arguments, LEGAL)

        result = await anyio.to_thread.run_sync(ask)
        refused = await anyio.to_thread.run_sync(ask, "--no-fallback")
        lines = await anyio.to_thread.run_sync(ask, "--json")
    assert result.out == "由別人回答。\n"
    assert "legal: BACKEND_UNAVAILABLE" in result.err
    assert "in place of legal answers general (on second)" in result.err
    assert "本回答由「一般」專家撰寫" in result.err
    assert (refused.code, refused.out) == (1, "")
    events = [json.loads(line) for line in lines.out.splitlines()]
    (finish,) = [event for event in events if event["event"] == "expert_finish"]
    assert finish["fallback"]["instead_of"] == "legal"
