"""What is asked of a vLLM about tokens, against the fake that scores."""

from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.responses import JSONResponse, Response

from tame_router.backends.vllm.backend import VllmSpec
from tame_router.backends.vllm.scoring import PRIORITY, TIMED_TOKENS, VllmScorer, Written
from tame_router.chat import Message, Role, Sampling
from tame_router.errors import BackendProtocolError, BackendRefusedKeyError
from tame_router.tenancy.rules import MAX_PRIORITY
from tests.fakes.scoring_vllm import SURE, UNSURE, ScoringVllm
from tests.fakes.vllm import ADAPTERS, BASE_MODEL
from tests.fakes.vllm_script import Pace

pytestmark = pytest.mark.anyio

ASKED = (Message(role=Role.USER, content="押金"),)


@pytest.fixture
def scoring() -> Iterator[ScoringVllm]:
    """Give a fake vLLM that scores."""
    fake = ScoringVllm()
    with fake:
        yield fake


@pytest.fixture
async def scorer(scoring: ScoringVllm) -> AsyncIterator[VllmScorer]:
    """Give what asks it, which does not know the base model's name."""
    scorer = VllmScorer(VllmSpec(base_url=scoring.base_url))
    yield scorer
    await scorer.close()


async def test_probabilities_come_in_the_order_of_the_prompts(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """One value a token and prompt, however the server ordered its answer."""
    prompts = [[ord("?"), ord("(")], [ord("?")]]
    found = await scorer.log_probabilities(ADAPTERS[0], prompts, [ord("A"), ord("B")])
    assert found == ({65: SURE, 66: UNSURE}, {65: -2.0, 66: -2.0})
    body = scoring.received[-1].body
    assert body["max_tokens"] == 1
    assert "prompt_logprobs" not in body


async def test_the_base_model_is_asked_by_the_name_it_is_served_under(
    scoring: ScoringVllm, scorer: VllmScorer
) -> None:
    """No revision means the base model; its name is looked up once."""
    assert await scorer.prompt_tokens("", ASKED) == tuple(map(ord, "押金"))
    assert await scorer.text_tokens("", "押金") == tuple(map(ord, "押金"))
    assert [one.body.get("model") for one in scoring.received] == [None, BASE_MODEL, BASE_MODEL]


async def test_letters_are_asked_for_once(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """A single character's tokens are remembered: adapters share the base model's."""
    assert await scorer.text_tokens(ADAPTERS[0], "A") == (65,)
    assert await scorer.text_tokens(ADAPTERS[1], "A") == (65,)
    assert len(scoring.received) == 1


async def test_an_answer_is_written(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """Its text and its length come back, with times."""
    scoring.text = "押金要還。"
    written = await scorer.write(ADAPTERS[0], ASKED, Sampling(max_tokens=16))
    assert (written.text, written.tokens) == ("押金要還。", 5)
    assert written.first_token_s is not None
    assert written.first_token_s <= written.elapsed_s


@pytest.mark.parametrize("priorities", [True, False])
async def test_callers_go_first(scoring: ScoringVllm, priorities: bool) -> None:
    """A server that goes by priorities does a gate's questions last; another is not told of any."""
    scorer = VllmScorer(VllmSpec(base_url=scoring.base_url, priorities=priorities))
    await scorer.log_probabilities(ADAPTERS[0], [[ord("?")]], [ord("A")])
    await scorer.write(ADAPTERS[0], ASKED, Sampling(max_tokens=16))
    await scorer.close()
    sent = [one.body.get("priority") for one in scoring.received]
    assert sent == [-PRIORITY if priorities else None] * 2
    assert PRIORITY < -MAX_PRIORITY


async def test_a_gate_waits_longer_than_callers(scoring: ScoringVllm) -> None:
    """The patience of those who ask for an answer is not the gate's."""
    hasty = VllmSpec(base_url=scoring.base_url, first_token_timeout_s=0.01, stall_timeout_s=0.01)
    scorer = VllmScorer(hasty)
    scoring.pace = Pace(first_token_s=0.1)
    assert (await scorer.write(ADAPTERS[0], ASKED, Sampling(max_tokens=16))).text
    await scorer.close()


def test_short_answers_have_no_speed() -> None:
    """A few tokens arrive in one burst, which says nothing."""
    times = {"text": "x", "first_token_s": 1.0, "elapsed_s": 2.0}
    assert Written(tokens=TIMED_TOKENS - 1, **times).token_s is None  # type: ignore[arg-type]
    assert Written(tokens=11, **times).token_s == 0.1  # type: ignore[arg-type]
    assert Written(text="", tokens=20, first_token_s=None, elapsed_s=2.0).token_s is None


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"choices": []}),
        JSONResponse({"choices": [{"index": 0, "logprobs": {"top_logprobs": [{}]}}]}),
        JSONResponse({"choices": [{"index": 0, "logprobs": {"top_logprobs": []}}]}),
        JSONResponse({"choices": [{"index": 0}]}),
        Response("no JSON"),
    ],
)
async def test_a_server_that_does_not_score_is_told_of(
    scoring: ScoringVllm, scorer: VllmScorer, answer: Response
) -> None:
    """Too few prompts or tokens, or no JSON at all, are the server's fault."""
    scoring.answer_plainly("/v1/completions", answer)
    with pytest.raises(BackendProtocolError):
        await scorer.log_probabilities(ADAPTERS[0], [[1]], [2])


async def test_a_refusal_is_an_error_of_ours(scoring: ScoringVllm, scorer: VllmScorer) -> None:
    """The status decides which."""
    scoring.answer_plainly("/tokenize", JSONResponse({"error": "Unauthorized"}, status_code=401))
    with pytest.raises(BackendRefusedKeyError):
        await scorer.text_tokens(ADAPTERS[0], "押金")


async def test_vllm_does_not_tell_its_memory(scorer: VllmScorer) -> None:
    """Its metrics know the API server's alone, so nothing is said."""
    assert await scorer.memory_bytes() is None
