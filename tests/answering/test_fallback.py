"""Who answers in place of an expert whose backend is gone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tame_router.answering.event import Fallback
from tame_router.answering.fallback import FallbackPolicy, passes, require_fallback
from tame_router.answering.label import fallback_notice
from tame_router.answering.question import Question
from tame_router.catalog.expert import Catalog, Expert
from tame_router.catalog.revision import Revision
from tame_router.chat import FallbackKind, FallbackStep, Message, Role, Sampling
from tame_router.config_backends import FallbackSettings
from tame_router.errors import (
    AdapterNotLoadedError,
    BackendFailedError,
    BackendOverloadedError,
    BackendProtocolError,
    BackendRefusedKeyError,
    BackendSilentError,
    BackendUnavailableError,
    ConfigError,
    ContextTooLongError,
    DeadlineExceededError,
    InvalidRequestError,
    NoExpertAnsweredError,
    QuotaExceededError,
    StreamBrokenError,
    TameError,
)
from tame_router.routing.decision import Constraints

EVERYTHING = ("base_model", {"expert": "general"}, {"backend": "azure"})
BACKENDS = ("local", "second", "azure")
GONE = BackendUnavailableError("nothing listens")
LACKING = AdapterNotLoadedError("no such adapter")


def expert(name: str, backend: str = "local", *, adapter: bool = True, **fields: Any) -> Expert:
    """Give an expert of which a test says what matters."""
    usual: dict[str, Any] = {
        "titles": {"zh-TW": {"legal": "法律", "general": "通用"}.get(name, name), "en": name},
        "descriptions": {},
        "prompt": f"You are {name}.",
        "live": Revision(expert=name, digest="a" * 64) if adapter else None,
        "sampling": Sampling(),
        "notices": {},
        "folder": Path(name),
    }
    return Expert(name=name, backend=backend, **{**usual, **fields})


LEGAL = expert("legal")
CATALOG = Catalog(
    {
        "general": expert("general", "second", adapter=False),
        "legal": LEGAL,
        "medical": expert("medical"),
    }
)


def policy(*steps: Any, **fields: Any) -> FallbackPolicy:
    """Give the rules of an operator."""
    settings = FallbackSettings.model_validate({"steps": steps, **fields})
    return FallbackPolicy(settings=settings, external=frozenset({"azure"}))


def question(tenant: str = "hospital", **wishes: Any) -> Question:
    """Ask something, with wishes about who answers."""
    visible = wishes.pop("visible", None)
    aside = wishes.pop("aside", False)
    return Question(
        answer_id="id-12345",
        messages=(Message(role=Role.USER, content="押金？"),),
        constraints=Constraints(**wishes),
        tenant=tenant,
        visible=visible,
        aside=aside,
    )


def asked(
    rules: FallbackPolicy,
    of: Question | None = None,
    error: TameError = LACKING,
    lead: Expert = LEGAL,
) -> list[tuple[str, str, str]]:
    """Give who is asked one after the other, all of them failing with what their backend says."""
    recourse = rules.recourse(lead, of or question(), CATALOG)
    found = []
    failed: Expert = lead
    while (stand_in := recourse.after(failed, error)) is not None:
        failed = stand_in.expert
        found.append((failed.name, failed.backend, failed.live_revision))
        error = LACKING
    return found


BASE = ("legal", "local", "")
GENERAL = ("general", "second", "")
AZURE = ("legal", "azure", "")
OPEN = {"tenants": {"azure": ["hospital"]}}


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (GONE, True),
        (LACKING, True),
        (StreamBrokenError("hung up"), True),
        (BackendSilentError("silent"), True),
        (BackendOverloadedError("full"), False),
        (BackendFailedError("500"), False),
        (BackendProtocolError("html"), False),
        (BackendRefusedKeyError("401"), False),
        (DeadlineExceededError("late"), False),
        (InvalidRequestError("wrong"), False),
        (QuotaExceededError("spent"), False),
        (NoExpertAnsweredError("x", metadata={"expert.a": "BACKEND_UNAVAILABLE"}), True),
        (
            NoExpertAnsweredError(
                "x", metadata={"expert.a": "ADAPTER_NOT_LOADED", "expert.b": "TOO_LONG"}
            ),
            False,
        ),
    ],
)
def test_which_errors_say_that_a_backend_is_gone(error: TameError, opens: bool) -> None:
    """Where nobody is there to answer, others may; a fault of the request or the time is none."""
    assert policy("base_model").opens(error) is opens


def test_overload_counts_where_the_operator_says_so() -> None:
    """By itself it is told to callers, who know when to come back."""
    assert policy(on_overload=True).opens(BackendOverloadedError("full"))


def test_a_callers_impatience_says_nothing_of_a_backend() -> None:
    """A wait that a join cut short is no sign of a dead server."""
    error = BackendSilentError("silent")
    error.impatient = True
    assert not policy("base_model").opens(error)


@pytest.mark.parametrize(
    ("rules", "of", "expected"),
    [
        (policy(), question(), []),
        (policy(*EVERYTHING, **OPEN), question(), [BASE, GENERAL, AZURE]),
        (policy(*reversed(EVERYTHING), **OPEN), question(), [AZURE, GENERAL, BASE]),
        (policy(*EVERYTHING, **OPEN), question(no_fallback=True), []),
        (policy(*EVERYTHING, **OPEN), question(pin="legal", revision="legal--a"), []),
        (policy(*EVERYTHING, **OPEN), question(aside=True), []),
        (policy(*EVERYTHING, **OPEN), question(pin="legal"), [BASE, AZURE]),
        (policy(*EVERYTHING, **OPEN), question(deny=frozenset({"general"})), [BASE, AZURE]),
        (policy(*EVERYTHING, **OPEN), question(allow=frozenset({"legal"})), [BASE, AZURE]),
        (policy(*EVERYTHING, **OPEN), question(visible=frozenset({"legal"})), [BASE, AZURE]),
        (policy(*EVERYTHING, **OPEN), question("press"), [BASE, GENERAL]),
        (policy(*EVERYTHING), question(), [BASE, GENERAL]),
        (policy(*EVERYTHING, tenants={"azure": ["*"]}), question("press"), [BASE, GENERAL, AZURE]),
        (policy(*EVERYTHING, tenants={"second": ["press"]}), question(), [BASE]),
        (policy({"backend": "second"}), question(), [("legal", "second", "")]),
        (policy({"backend": "local"}, "base_model"), question(), [BASE, BASE]),
        (policy({"expert": "legal"}, {"expert": "gone"}), question(), []),
    ],
)
def test_who_may_answer(
    rules: FallbackPolicy, of: Question, expected: list[tuple[str, str, str]]
) -> None:
    """Policy, the caller's wishes and rights, and where its tenant's questions may go."""
    assert asked(rules, of) == expected


def test_an_experts_own_steps_win() -> None:
    """An expert may have others answer for it than all experts have, or nobody."""
    rules = policy("base_model")
    own = replace(LEGAL, fallback=(FallbackStep(kind=FallbackKind.EXPERT, name="general"),))
    assert asked(rules, lead=own) == [GENERAL]
    assert asked(rules, lead=replace(LEGAL, fallback=())) == []


def test_a_backend_that_is_gone_is_not_asked_again() -> None:
    """Without its server neither the base model nor another expert there can do better."""
    rules = policy("base_model", {"expert": "medical"}, *EVERYTHING[1:], **OPEN)
    assert asked(rules, error=GONE) == [GENERAL, AZURE]
    assert asked(rules, error=LACKING)[:2] == [BASE, ("medical", "local", "medical--" + "a" * 16)]


@pytest.mark.parametrize(
    "facts", [{"replica_1": "ready", "replica_2": "unreachable"}, {"expert.legal": LACKING.reason}]
)
def test_a_backend_that_is_half_there_is_asked_for_its_base_model(facts: dict[str, str]) -> None:
    """Where one of the replicas is well, what it lacked was the adapter."""
    error = BackendUnavailableError("503", metadata=facts)
    assert asked(policy("base_model"), error=error) == [BASE]


def test_an_expert_without_adapter_has_no_base_model_to_fall_back_to() -> None:
    """It was the base model that did not answer."""
    bare = replace(LEGAL, live=None)
    assert asked(policy("base_model", {"backend": "local"}), lead=bare) == []


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [
        (GONE, True),
        (BackendFailedError("500"), True),
        (BackendOverloadedError("full"), True),
        (ContextTooLongError("long"), True),
        (DeadlineExceededError("late"), False),
        (QuotaExceededError("spent"), False),
    ],
)
def test_what_the_next_one_may_do_better(error: TameError, goes_on: bool) -> None:
    """All but what is the caller's: its time, its rights."""
    assert passes(error) is goes_on


@pytest.mark.parametrize(
    ("fields", "card", "message"),
    [
        ({"steps": [{"expert": "nobody"}]}, None, r"steps\.0: it names 'nobody'.*general, legal"),
        ({"steps": [{"backend": "nowhere"}]}, None, r"no backend 'nowhere'.*azure, local"),
        ({"steps": ["base_model", "base_model"]}, None, "names the same twice"),
        ({"tenants": {"nowhere": ["*"]}}, None, r"fallback\.tenants names 'nowhere'"),
        ({}, FallbackStep(kind=FallbackKind.EXPERT, name="legal"), "'legal'.*back to the expert"),
        ({}, FallbackStep(kind=FallbackKind.EXPERT, name="nobody"), "'legal'.*is no expert"),
    ],
)
def test_what_cannot_be_is_refused_at_start(
    fields: dict[str, Any], card: FallbackStep | None, message: str
) -> None:
    """Who is not there, and who would answer for itself, is named."""
    legal = LEGAL if card is None else replace(LEGAL, fallback=(card,))
    catalog = Catalog({**CATALOG.experts, "legal": legal})
    with pytest.raises(ConfigError, match=message):
        require_fallback(FallbackSettings.model_validate(fields), catalog, BACKENDS)


def test_what_can_be_is_taken() -> None:
    """Two experts may answer for each other: nobody answers for one that stands in."""
    legal = replace(LEGAL, fallback=(FallbackStep(kind=FallbackKind.EXPERT, name="medical"),))
    step = FallbackStep(kind=FallbackKind.EXPERT, name="legal")
    medical = replace(CATALOG.experts["medical"], fallback=(step,))
    catalog = Catalog({**CATALOG.experts, "legal": legal, "medical": medical})
    settings = FallbackSettings.model_validate({"steps": EVERYTHING, **OPEN})
    require_fallback(settings, catalog, BACKENDS)
    assert asked(policy(), lead=legal) == [("medical", "local", "medical--" + "a" * 16)]


@pytest.mark.parametrize("language", ["zh-TW", "zh-CN", "en"])
@pytest.mark.parametrize("kind", FallbackKind)
@pytest.mark.parametrize("external", [False, True])
def test_readers_are_told(kind: FallbackKind, language: str, external: bool) -> None:
    """In their language: who wrote it, who did not, and the writer's own notice after it."""
    fallback = Fallback(
        kind=kind,
        instead_of="legal",
        revision="",
        reason="BACKEND_UNAVAILABLE",
        backend="azure",
        external=external,
    )
    general = expert("general", notices={"zh-TW": "僅供參考。", "en": "No advice."})
    first, second = fallback_notice(fallback, general, LEGAL, language).split("\n")
    english = language == "en"
    assert second == ("No advice." if english else "僅供參考。")
    assert ("not by the expert “legal”" if english else "並非出自「法律」專家") in first
    if kind is FallbackKind.EXPERT:
        assert ("“general”" if english else "「通用」") in first
    if kind is FallbackKind.BACKEND:
        assert (("external" if english else "外部服務") in first) is external
    if kind is FallbackKind.BASE_MODEL:
        assert ("base model" if english else "基礎模型") in first
