"""Which replica writes an answer. Pure: costs are added up, and the cheapest of a few is taken.

An adapter is at home on one replica, by hash: the one that loads it first, whichever router is
asked. A conversation is at home on one of those that have its adapter. The few are these two, two
drawn of those that have the adapter, and two drawn of all: routers that know the same do not all
go to the same place, and the fuller of two is never taken. As long as there is room where it is,
an adapter stays on few replicas; those drawn of all are how it comes to more where there is not.
The cost is in answers: what makes a replica as unattractive as so many answers more under way.
"""

import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import msgspec

from tame_router.backends.backend import Generation
from tame_router.backends.replicas.standing import Standing

_HEAD_MESSAGES: Final = 2
_HEAD_CHARS: Final = 2_048
_TOKENS_UNKNOWN: Final = 512
_CHARS_PER_TOKEN: Final = 3
_DRAWN: Final = 2
_LOADING: Final = 8.0
_CROWDED: Final = 16.0
_FULL_CACHE: Final = 8.0
_ROOMY: Final = 0.8
_ERROR: Final = 4.0
_MOST_ERRORS: Final = 16.0
_DOUBLING: Final = 4.0
_NOT_CLEARLY: Final = 0.5
_MOST_LATE: Final = 8.0
_GOLDEN: Final = 0x9E3779B1
_MASK: Final = 0xFFFFFFFF


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer that looks for a replica.

    Attributes:
        revision: The adapter it needs; empty: none.
        head: Hash of how its prompt begins, 32 bits: turns of one conversation have the same.
        tokens: Tokens it may come to, prompt included; a guess.
        chars: Length of its prompt.
    """

    revision: str
    head: int
    tokens: int
    chars: int = 0

    @classmethod
    def of(cls, generation: Generation) -> "Ask":
        """Tell from a generation.

        The head is the adapter, the instructions and the first turn: what a prefix cache keeps
        of a conversation, and what its later turns begin with too.
        """
        head = zlib.crc32(generation.revision.encode())
        for message in generation.messages[:_HEAD_MESSAGES]:
            head = zlib.crc32(message.content[:_HEAD_CHARS].encode("utf-8", "replace"), head)
        chars = sum(len(message.content) for message in generation.messages)
        wanted = generation.sampling.max_tokens or _TOKENS_UNKNOWN
        tokens = chars // _CHARS_PER_TOKEN + wanted
        return cls(revision=generation.revision, head=head, tokens=tokens, chars=chars)


class Moment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What costs are of: one answer, at one time.

    Attributes:
        ask: The answer.
        now: The time, in seconds.
        home: Name of the replica its conversation is at home on.
        least_late: How late the first words are of the replica of the few whose come soonest.
    """

    ask: Ask
    now: float
    home: str
    least_late: float = 0.0


Scorer = Callable[[Standing, Moment], float]
"""Gives a cost in answers, negative for what is good."""


def load(standing: Standing, moment: Moment) -> float:
    """Cost of what this router has under way there."""
    return standing.answers + standing.tokens / 1_024


def queue(standing: Standing, moment: Moment) -> float:
    """Cost of what it says others have under way there, and once more of what waits."""
    if standing.told_until < moment.now:
        return 0.0
    return standing.elsewhere + standing.waiting


def cache(standing: Standing, moment: Moment) -> float:
    """Cost of a KV cache that is nearly full: answers there are set back, or wait."""
    if standing.told_until < moment.now:
        return 0.0
    return _FULL_CACHE * max(0.0, standing.cache_usage - _ROOMY) / (1 - _ROOMY)


def trouble(standing: Standing, moment: Moment) -> float:
    """Cost of errors of the last seconds, and of its having said that it is busy."""
    busy = 32.0 if standing.busy_until > moment.now else 0.0
    return min(_ERROR * standing.errors(moment.now), _MOST_ERRORS) + busy


def lag(standing: Standing, moment: Moment) -> float:
    """Cost of first words that come clearly later than those of the best of the few."""
    later = standing.lateness(moment.now) - moment.least_late - _NOT_CLEARLY
    return min(_DOUBLING * later, _MOST_LATE) if later > 0 else 0.0


def adapter(standing: Standing, moment: Moment) -> float:
    """Cost of an adapter that is to be loaded first, or is known to be missing."""
    revision = moment.ask.revision
    if standing.resident(revision):
        return 0.0
    if standing.absent(revision, moment.now):
        return 1_000.0
    return _LOADING + _CROWDED if standing.crowded else _LOADING


def prefix(standing: Standing, moment: Moment) -> float:
    """What a cached prefix, where there should be one, is worth."""
    return -4.0 if standing.name == moment.home else 0.0


SCORERS: Final[tuple[Scorer, ...]] = (load, queue, cache, trouble, lag, adapter, prefix)
"""All there are; their costs are added."""


def cost(standing: Standing, moment: Moment) -> float:
    """Give what a replica costs an answer, in answers."""
    total = 0.0
    for scorer in SCORERS:
        total += scorer(standing, moment)
    return total


def choose(standings: Sequence[Standing], ask: Ask, *, now: float, draw: Random) -> Standing:
    """Choose the replica for an answer.

    Args:
        standings: Those that may be chosen, at least one.
        ask: The answer.
        now: The time, in seconds.
        draw: Randomness.
    """
    if len(standings) == 1:
        return standings[0]
    among: Sequence[Standing] = standings
    few: list[Standing] = []
    if ask.revision:
        few.append(at_home(standings, zlib.crc32(ask.revision.encode())))
        few += [standings[int(draw.random() * len(standings))] for _ in range(_DRAWN)]
        among = [one for one in standings if ask.revision in one.adapters] or few[:1]
    home = at_home(among, ask.head)
    few.append(home)
    few += [among[int(draw.random() * len(among))] for _ in range(_DRAWN)]
    different = dict.fromkeys(few)
    least_late = min(one.lateness(now) for one in different)
    moment = Moment(ask=ask, now=now, home=home.name, least_late=least_late)
    return min(different, key=lambda standing: cost(standing, moment))


def at_home(standings: Sequence[Standing], key: int) -> Standing:
    """Give the replica that a hash is at home on; one that leaves moves only its own.

    Args:
        standings: At least one.
        key: The hash, 32 bits.

    Source: https://en.wikipedia.org/wiki/Rendezvous_hashing
    """
    # One multiplication mixes enough: over 64 replicas homes spread as evenly as by chance.
    golden, mask = _GOLDEN, _MASK
    home, highest = standings[0], -1
    for one in standings:
        rank = ((key ^ one.salt) * golden) & mask
        if rank > highest:
            home, highest = one, rank
    return home
