"""Asking every way, against a router in front of a fake vLLM, and what is kept of it."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio.to_thread
import grpc
import pytest

from bench.join_quality import ask_router, choose
from bench.join_ways import BASE, FIRST, SECOND, Asker, ways
from bench.kept_replies import keep, read_replies
from bench.merged_ways import MergedAsker, read_merge
from bench.pair_question import Fact, PairQuestion, read_pair_questions
from bench.pair_score import Reply
from tame_router.backends.vllm.backend import VllmBackend, VllmSpec
from tame_router.catalog.expert import Catalog
from tame_router.errors import CatalogError
from tame_router.routing.decision import Join
from tests.fakes.vllm import FakeVllm
from tests.fakes.vllm_script import Pace

ROOT = Path(__file__).resolve().parents[2]


def question(first: str = "legal", second: str = "medical") -> PairQuestion:
    """Give a question of two domains."""
    fact = (Fact(fact="x", any=("x",)),)
    return PairQuestion(
        id=f"{first}-{second}",
        lang="en",
        kind="pair",
        domains=(first, second),
        question="Can I sue the hospital because my surgery failed?",
        facts={first: fact, second: fact},
    )


def ask_all(address: str, *questions: PairQuestion) -> dict[str, Reply]:
    """Ask every way, and give the replies of the last question by way."""
    with grpc.insecure_channel(address) as channel:
        asker = Asker(channel, fallback="general", max_tokens=16)
        return {reply.way: reply for reply in ask_router(asker, ways(), questions, at_once=2)}


def test_there_is_a_way_for_every_join_the_router_knows() -> None:
    """A join that is added to the router is asked for without a change here."""
    names = [way.name for way in ways()]
    assert names[:3] == [BASE, FIRST, SECOND]
    assert names[3:] == [f"join {join.value}" for join in Join]
    assert {way.join: way.shares for way in ways()}[Join.SINGLE] == 1


@pytest.mark.anyio
async def test_every_way_asks_whom_it_should(address: str, fake_vllm: FakeVllm) -> None:
    """The base model, either expert and the joined ones answer, within the caller's tokens."""
    replies = await anyio.to_thread.run_sync(ask_all, address, question())
    assert {way: r.fault for way, r in replies.items()} == {way.name: "" for way in ways()}
    assert replies[BASE].experts == ()
    assert replies[FIRST].experts == ("legal",)
    assert replies[SECOND].experts == ("medical",)
    assert replies[f"join {Join.SINGLE.value}"].experts[0] in {"legal", "medical"}
    for reply in replies.values():
        assert reply.text
        assert reply.completion_tokens > 0
        assert reply.elapsed_s > 0
    sent = [r.body for r in fake_vllm.received if r.path == "/v1/chat/completions"]
    assert all(body["temperature"] == 0 for body in sent)


@pytest.mark.anyio
async def test_who_led_stands_first_whoever_was_done_first(
    address: str, fake_vllm: FakeVllm, catalog: Catalog
) -> None:
    """A lead that ends last is still the one whose side counts as the lead's."""
    replies = await anyio.to_thread.run_sync(ask_all, address, question())
    (lead,) = replies[f"join {Join.SINGLE.value}"].experts
    fake_vllm.paces = {catalog.expert(lead).live_revision: Pace(first_token_s=0.3)}
    replies = await anyio.to_thread.run_sync(ask_all, address, question())
    for join in (Join.PANEL, Join.SECOND_OPINION, Join.FUSE, Join.BEST_OF):
        experts = replies[f"join {join.value}"].experts
        assert experts[0] == lead
        assert set(experts) == {"legal", "medical"}


@pytest.mark.anyio
async def test_what_is_refused_is_a_reply_with_the_reason(address: str) -> None:
    """One refusal does not end a run: it is counted."""
    replies = await anyio.to_thread.run_sync(ask_all, address, question("legal", "astrology"))
    assert replies[SECOND].fault.startswith("NOT_FOUND: ")
    assert not replies[SECOND].text
    assert not replies[FIRST].fault


def test_questions_are_chosen_over_both_languages() -> None:
    """A few of a pair hold Chinese and English; an unknown pair is refused."""
    questions = read_pair_questions()
    few = choose(questions, ["legal+medical"], 3)
    assert len(few) == 3
    assert {q.lang for q in few} == {"zh-TW", "en"}
    assert len(choose(questions, [], None)) == len(questions)
    with pytest.raises(ValueError, match="no questions of 'law'; there are"):
        choose(questions, ["law"], 1)
    with pytest.raises(ValueError, match="nothing is left"):
        choose([], [], 1)


def test_kept_replies_can_be_scored_again(tmp_path: Path) -> None:
    """A second run over kept replies gives their tables and one JSON object, and asks nobody."""
    asked = choose(read_pair_questions(), ["legal+medical"], 2)
    replies = [
        Reply(way=way, question=q.id, experts=("legal",), text="病歷", completion_tokens=2)
        for q in asked
        for way in (FIRST, SECOND)
    ]
    keep(tmp_path, asked, replies)
    assert read_replies(tmp_path / "replies.jsonl") == replies
    assert (tmp_path / "answers.md").read_text("utf-8").startswith(f"## {asked[0].id}\n")
    command = [sys.executable, "bench/join_quality.py", "--json"]
    command += ["--scored", str(tmp_path / "replies.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "### legal+medical" in done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["questions"] == 2
    assert found["groups"]["all"][FIRST]["asked"] == 2


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A file of other things ends the run with one line."""
    path = tmp_path / "replies.jsonl"
    path.write_text('{"way": "x"}\n', "utf-8")
    command = [sys.executable, "bench/join_quality.py", "--scored", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "holds something else than replies" in done.stderr


def write_merge(folder: Path) -> Path:
    """Write a merged adapter as the recipe does, with weights that no engine could use."""
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}", "utf-8")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "merge.json").write_text(
        json.dumps({"domains": ["legal", "medical"], "method": "ties"}), "utf-8"
    )
    return folder


@pytest.mark.anyio
async def test_a_merge_is_asked_the_questions_of_its_pair(
    tmp_path: Path, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """Its revision answers behind the first domain's prompt; other pairs are left out."""
    merge = read_merge(write_merge(tmp_path / "legal+medical--ties-w1"))
    assert merge.way == "merged, ties-w1"
    assert merge.revision.name.startswith("legal-medical-ties-w1--")
    fake_vllm.adapters = (merge.revision.name,)
    backend = VllmBackend(VllmSpec(base_url=fake_vllm.base_url))
    asker = MergedAsker(backend, catalog, max_tokens=8)
    both = [question(), question("legal", "electronics")]
    replies: list[Reply] = []
    ask = partial(asker.ask_all, [merge], both, at_once=2, take=replies.append)
    await anyio.to_thread.run_sync(ask)
    assert [(r.question, r.experts, r.fault) for r in replies] == [
        ("legal-medical", ("legal",), "")
    ]
    assert replies[0].text
    body = next(r.body for r in fake_vllm.received if r.path == "/v1/chat/completions")
    assert body["model"] == merge.revision.name
    assert body["messages"][0]["content"].startswith(catalog.expert("legal").prompt)


@pytest.mark.anyio
async def test_a_merge_that_the_engine_does_not_have_is_a_fault(
    tmp_path: Path, catalog: Catalog, fake_vllm: FakeVllm
) -> None:
    """An engine without the adapter is told of in the reply."""
    merge = read_merge(write_merge(tmp_path / "legal+medical--ties"))
    backend = VllmBackend(VllmSpec(base_url=fake_vllm.base_url))
    try:
        reply = await MergedAsker(backend, catalog, max_tokens=8).ask(merge, question())
    finally:
        await backend.close()
    assert reply.fault
    assert not reply.text


def test_a_folder_without_a_merge_is_refused(tmp_path: Path) -> None:
    """The message says how to make one."""
    with pytest.raises(CatalogError, match=r"make one with adapters/merge\.py"):
        read_merge(tmp_path)
