"""Which bad ratings count: of an answer that is remembered, once, and a few of each person."""

from dataclasses import replace

from tame_router.registry.canary.ratings import (
    MOST_OF_RATER,
    REMEMBERED,
    Rated,
    Rater,
    Ratings,
)

MANY = 2 * REMEMBERED
"""As many as none reaches."""

RATED = Rated(
    expert="legal",
    revision="new",
    canary="new",
    share=0.1,
    rater=Rater(tenant="school", subject="key-1", user="wang"),
)


def test_an_answer_is_rated_once() -> None:
    """A second rating of it finds nothing."""
    ratings = Ratings(MANY)
    ratings.remember("answer-1", RATED)
    assert ratings.take("answer-1", "school", "legal") is RATED
    assert ratings.take("answer-1", "school", "legal") is None


def test_who_was_not_answered_has_no_say() -> None:
    """Nor has one who names another expert; whoever was answered still has."""
    ratings = Ratings(MANY)
    ratings.remember("answer-1", RATED)
    assert ratings.take("answer-2", "school", "legal") is None
    assert ratings.take("answer-1", "hospital", "legal") is None
    assert ratings.take("answer-1", "school", "medical") is None
    assert ratings.take("answer-1", "school", "legal") is RATED


def test_a_few_of_each_person_count() -> None:
    """Of another person, or about another canary, as many again."""
    ratings = Ratings(MANY)
    others = replace(RATED, rater=replace(RATED.rater, user="lin")), replace(RATED, canary="newer")
    for number in range(MOST_OF_RATER + 2):
        ratings.remember(f"answer-{number}", RATED)
        counts = ratings.take(f"answer-{number}", "school", "legal") is not None
        assert counts == (number < MOST_OF_RATER)
    for other in others:
        ratings.remember("answer", other)
        assert ratings.take("answer", "school", "legal") is other


def test_a_few_of_each_key_count() -> None:
    """However many users it names; of another key, or about another canary, as many again."""
    ratings = Ratings(5)

    def count(rated: Rated) -> int:
        found = 0
        for number in range(20):
            one = replace(rated, rater=replace(rated.rater, user=f"invented-{number}"))
            ratings.remember("answer", one)
            found += ratings.take("answer", "school", "legal") is not None
        return found

    assert count(RATED) == 5
    assert count(replace(RATED, canary="newer")) == 5
    assert count(replace(RATED, rater=replace(RATED.rater, subject="key-2"))) == 5


def test_who_repeats_itself_takes_nothing_from_its_key() -> None:
    """Ratings of one person beyond those that count leave room for the others of its key."""
    ratings = Ratings(MOST_OF_RATER + 1)
    for number in range(20):
        ratings.remember(f"answer-{number}", RATED)
        ratings.take(f"answer-{number}", "school", "legal")
    lin = replace(RATED, rater=replace(RATED.rater, user="lin"))
    ratings.remember("answer", lin)
    assert ratings.take("answer", "school", "legal") is lin


def test_the_oldest_are_forgotten() -> None:
    """However many answers, and raters, there are."""
    ratings = Ratings(MANY)
    for number in range(REMEMBERED + 1):
        ratings.remember(f"answer-{number}", RATED)
    assert ratings.take("answer-0", "school", "legal") is None
    assert ratings.take("answer-1", "school", "legal") is RATED
    for number in range(REMEMBERED + 1):
        rater = replace(RATED.rater, user=str(number))
        ratings.remember("answer", replace(RATED, rater=rater))
        ratings.take("answer", "school", "legal")
    for number in range(MOST_OF_RATER):
        ratings.remember(f"again-{number}", RATED)
        assert ratings.take(f"again-{number}", "school", "legal") is not None
