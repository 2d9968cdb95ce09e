"""A merge goes through the registry like any adapter: judged, published, replaced, brought back."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from bench.merged_ways import Merge
from tame_router.backends.engine.state import EngineState
from tame_router.chat import Sampling
from tame_router.client.adapter import Revision, RevisionState
from tame_router.client.async_client import AsyncClient
from tame_router.config import Settings
from tame_router.registry.examination_sets import FILE
from tests.engine.conftest import PAIR
from tests.engine.life_site import EngineSite, before_engine, bring, teach

pytestmark = pytest.mark.anyio

QUESTION = (
    "A nurse gave my mother the wrong drug. What do we do first, and can we sue the hospital?"
)
SHORT = Sampling(max_tokens=16, temperature=0.0)

TAUGHT = {
    "zh-TW": """
員工在廚房燙傷要怎麼急救老闆要賠嗎
手術後感染能不能告醫院又該怎麼治療
被狗咬傷要打什麼針飼主要負什麼責任
車禍骨折要多久好肇事者要賠多少
工作太累中風算不算職災要怎麼復健
醫師開錯藥過敏怎麼辦可以求償嗎
""",
    "en": """
A dog bit my child: which shots does he need, and is the owner liable?
The surgeon left a sponge inside me; what are the risks and can I sue?
how is a burn at work treated and must my employer pay for it
The pharmacy gave the wrong pills; what symptoms should I watch and can I claim damages?
I broke my wrist in a car crash: how long does it heal and who pays?
A vaccine gave me a fever for weeks: what tests are needed and who compensates?
""",
}
"""What the pair's own expert is to be asked."""


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, engine: EngineState, engine_key: str, tmp_path: Path
) -> EngineSite:
    """Give a place of its own before the real vLLM."""
    taught = teach(tmp_path_factory.mktemp("merged-life"))
    return before_engine(taught, engine, engine_key, tmp_path)


def write_pair(merge: Merge, folder: Path, settings: Settings) -> Path:
    """Make a merge the first adapter of an expert for both domains, as an operator would.

    Args:
        merge: Of legal and medical.
        folder: Where; made anew.
        settings: Say where both experts are, whose evaluation sets become the pair's.
    """
    shutil.copytree(merge.folder, folder)
    legal = settings.experts_dir / "legal"
    described = yaml.safe_load((legal / "expert.yaml").read_text(encoding="utf-8"))
    del described["adapters"]
    described |= {"name": PAIR, "titles": {"zh-TW": "法律與醫療", "en": "Law and medicine"}}
    text = yaml.safe_dump(described, allow_unicode=True, sort_keys=False)
    (folder / "expert.yaml").write_text(text, encoding="utf-8")
    shutil.copy(legal / "prompt.md", folder)
    for language, lines in TAUGHT.items():
        (folder / f"utterances.{language}.txt").write_text(lines.lstrip(), encoding="utf-8")
    cases = [settings.experts_dir / side / FILE for side in merge.domains]
    (folder / FILE).write_text("".join(path.read_text("utf-8") for path in cases), "utf-8")
    return folder


async def answering(client: AsyncClient) -> str:
    """Ask the pair's expert a question of both domains, and give the revision that answered."""
    answer = await client.chat(QUESTION, expert=PAIR, sampling=SHORT)
    (expert,) = answer.experts
    assert answer.content.strip()
    return expert.revision


def losses(revision: Revision) -> dict[str, float]:
    """Give by expert by what share the loss of the references fell; negative: it rose."""
    report = json.loads(revision.report)
    return {
        one["expert"]: one["difference"]["value"]
        for one in report["comparisons"]
        if one["measure"] == "loss"
    }


async def test_a_merge_becomes_the_pairs_own_expert(
    site: EngineSite, merge: Merge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Better than the base model on both sides' questions, it is approved, and can be replaced."""
    folder = write_pair(merge, tmp_path / PAIR, site.settings)
    async with site.running() as client:
        first = await bring(client, folder, PAIR)
        assert first.state is RevisionState.APPROVED, first.findings
        assert losses(first)[PAIR] > 0
        with capsys.disabled():
            print(f"\n  a merge against the base model, loss saved: {losses(first)}")
        made = await client.adapters.publish(first.name)
        assert (made.label.live, made.revision.state) == (first.name, RevisionState.ACTIVE)
        assert await answering(client) == first.name
        # Later revisions bring an adapter alone: the same weights under another card.
        copy = site.folder / "again"
        shutil.copytree(merge.folder, copy)
        (copy / "README.md").write_text("# Once more\n", encoding="utf-8")
        second = await bring(client, copy, PAIR)
        assert second.state is RevisionState.APPROVED, second.findings
        await client.adapters.publish(second.name)
        assert await answering(client) == second.name
        label = await client.adapters.rollback(PAIR, because="The first will do.")
        assert label.live == first.name
        assert await answering(client) == first.name
        history = await client.adapters.history(PAIR)
        assert [change.action for change in history.changes] == ["rollback", "publish", "publish"]


async def test_a_merge_in_an_experts_place_is_weighed_against_it(
    site: EngineSite, merge: Merge, capsys: pytest.CaptureFixture[str]
) -> None:
    """It finds its own side's answers less likely than the adapter that it would replace."""
    async with site.running() as client:
        found = await bring(client, merge.folder)
    with capsys.disabled():
        reasons = [finding.reason for finding in found.findings]
        print(f"\n  a merge against legal's own: {found.state}, {reasons}, {losses(found)}")
    assert json.loads(found.report)["live"] == site.own
    assert losses(found)["legal"] < 0
