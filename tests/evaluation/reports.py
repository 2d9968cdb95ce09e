"""A report with a mistake whose text is dangerous."""

from tame_router.evaluation.mistake import Mistake
from tame_router.evaluation.question import Kind
from tame_router.evaluation.report import Report, measure
from tame_router.routing.decision import ExpertProbability, Feature
from tests.evaluation.trials import EXPERTS, HAND, trial

DANGEROUS = "<script>alert('押金')</script> | *bold* & [link](x)"


def hand_report() -> Report:
    """Give the report on the trials that are counted by hand."""
    mistake = Mistake(
        text=DANGEROUS,
        id="<b>id</b>",
        source="by hand",
        expected=("legal",),
        lead="medical",
        reason="MOST_PROBABLE",
        probabilities=(
            ExpertProbability(expert="medical", probability=0.9),
            ExpertProbability(expert="legal", probability=0.1),
        ),
        features=(Feature(text="<i>押", weight=1.25), Feature(text="金", weight=-0.5)),
    )
    outside = trial("general", {"general": 1.0}, kind=Kind.OUT_OF_DOMAIN, topic="food")
    with_sets = trial(
        "legal", {"legal": 0.9, "medical": 0.1}, style="chat", conformal_set=("legal",)
    )
    return measure(
        (*HAND, outside, with_sets),
        experts=EXPERTS,
        fallback="general",
        classifier_digest="ab" * 32,
        mistakes=(mistake,),
    )
