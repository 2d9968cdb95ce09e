"""Trials by hand: a question, its right experts, and what was decided."""

from collections.abc import Mapping, Sequence

from tame_router.evaluation.outcome import Outcome, Trial
from tame_router.evaluation.question import Kind, Question
from tame_router.routing.decision import ExpertProbability, Stage

EXPERTS = ("general", "legal", "medical")


def trial(
    right: str,
    probabilities: Mapping[str, float],
    *,
    lead: str = "",
    experts: Sequence[str] = (),
    kind: Kind = Kind.SINGLE,
    name: str = "",
    text: str = "text",
    language: str = "en",
    style: str = "",
    source: str = "",
    topic: str = "",
    stage: Stage = Stage.FAST,
    elapsed_us: int = 100,
    conformal_set: tuple[str, ...] = (),
) -> Trial:
    """Give a trial; the most probable expert leads where nothing else is said.

    Args:
        right: The experts the question belongs to, with spaces between.
        probabilities: By expert.
        lead: The expert that answers.
        experts: All selected; else the lead alone.
        kind: What the question asks of the router.
        name: The question's id.
        text: The question.
        language: Its language.
        style: Its style.
        source: Where it comes from.
        topic: What it is about, out of domain.
        stage: Which part decided.
        elapsed_us: How long it took.
        conformal_set: Experts that are not ruled out.
    """
    ranked = sorted(probabilities.items(), key=lambda pair: -pair[1])
    lead = lead or ranked[0][0]
    return Trial(
        question=Question(
            text=text,
            kind=kind,
            domains=tuple(right.split()),
            id=name,
            language=language,
            style=style,
            source=source,
            topic=topic,
            row={"text": text, "domain": right},
        ),
        outcome=Outcome(
            lead=lead,
            experts=tuple(experts) or (lead,),
            probabilities=tuple(ExpertProbability(expert=e, probability=p) for e, p in ranked),
            stage=stage,
            elapsed_us=elapsed_us,
            conformal_set=conformal_set,
        ),
    )


def sure(right: str, lead: str, confidence: float = 0.8, name: str = "") -> Trial:
    """Give a trial of three experts whose lead has a probability, and the others the rest."""
    rest = (1 - confidence) / 2
    probabilities = {e: confidence if e == lead else rest for e in EXPERTS}
    return trial(right, probabilities, lead=lead, name=name, text=f"text {name}")


HAND = (
    sure("legal", "legal", 0.9),
    sure("legal", "legal", 0.8),
    sure("legal", "medical", 0.7),
    sure("medical", "medical", 0.6),
    sure("medical", "general", 0.5),
    sure("general", "general", 0.4),
)
"""Six trials that are counted by hand: four are right."""
