"""A fake vLLM that scores, what asks it, and small evaluation sets."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tame_router.backends.vllm.backend import VllmSpec
from tame_router.backends.vllm.scoring import VllmScorer
from tame_router.catalog.evaluation import ChoiceCase, EvaluationCase, TextCase
from tame_router.catalog.expert import Expert
from tame_router.chat import Sampling
from tests.fakes.scoring_vllm import ScoringVllm
from tests.fakes.vllm import BASE_MODEL

LIVE, CANDIDATE = "legal--0000000000000001", "legal--0000000000000002"

LEGAL = Expert(
    name="legal",
    titles={"en": "Law"},
    descriptions={"en": "The law of Taiwan."},
    prompt="You know the law.",
    backend="local",
    live=None,
    sampling=Sampling(),
    notices={},
    folder=Path("experts/legal"),
)


def choice(number: int, *, must_pass: bool = False) -> EvaluationCase:
    """Give a choice whose right answer is A."""
    return ChoiceCase(
        id=f"c{number:02}",
        lang="zh-TW",
        kind="choice",
        question=f"第{number}題：下列何者正確？",
        choices=("押金", "訂金"),
        answer=0,
        must_pass=must_pass,
    )


def free(number: int, *, must_pass: bool = False) -> EvaluationCase:
    """Give a question to answer freely, with the fact 押金."""
    return TextCase(
        id=f"t{number:02}",
        lang="zh-TW",
        kind="text",
        question=f"第{number}題：房東應返還什麼？",
        reference="租約期滿，房東應返還押金。",
        required=("押金",),
        forbidden=("罰金",),
        must_pass=must_pass,
    )


OWN = (*(choice(n) for n in range(6)), *(free(n) for n in range(6)))


@pytest.fixture(scope="session")
def _scoring_server() -> Iterator[ScoringVllm]:
    fake = ScoringVllm()
    with fake:
        yield fake


@pytest.fixture
def scoring(_scoring_server: ScoringVllm) -> Iterator[ScoringVllm]:
    """Give a fake vLLM with both revisions, each of which answers with the fact."""
    _scoring_server.reset()
    _scoring_server.adapters = (LIVE, CANDIDATE)
    _scoring_server.text = "房東應返還押金給承租人，依租約辦理。"
    yield _scoring_server
    _scoring_server.reset()


@pytest.fixture
async def scorer(scoring: ScoringVllm) -> AsyncIterator[VllmScorer]:
    """Give what asks it."""
    scorer = VllmScorer(VllmSpec(base_url=scoring.base_url, base_model=BASE_MODEL))
    yield scorer
    await scorer.close()
