"""Puzzles of knights and knaves: who always tells the truth and who always lies, from what each says of the others.

Three people of twelve are named, and each says one thing; a puzzle has exactly one solution. The solver tries all eight
assignments; puzzles are drawn by the truth of statements, so that what the generator means can be held against it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product

Kinds = tuple[bool, ...]  # of each person whether it is a knight
PEOPLE, NAMES = 3, 12
SAYS: Mapping[str, Callable[[bool, bool], bool]] = {  # of one person or of two, whether they are knights
    "is a knight": lambda a, _: a,
    "is a knave": lambda a, _: not a,
    "are of a kind": lambda a, b: a == b,
    "are of two kinds": lambda a, b: a != b,
    "are both knights": lambda a, b: a and b,
    "are both knaves": lambda a, b: not a and not b,
    "one or both are knights": lambda a, b: a or b,
    "one or both are knaves": lambda a, b: not a or not b,
}
OF_ONE = ("is a knight", "is a knave")
_FIRST_NAME, _FIRST_SAYS, _NOBODY, _ASK, _FIRST_KIND = 4, 24, 40, 41, 42  # tokens
ANSWER = PEOPLE  # tokens of an answer


@dataclass(frozen=True, slots=True)
class Says:
    """What a person says."""

    what: str  # a key of SAYS
    a: int  # a person, by place
    b: int | None  # another, where two are spoken of

    def true(self, kinds: Kinds) -> bool:
        """Tell whether it is so where people are of these kinds."""
        return SAYS[self.what](kinds[self.a], kinds[self.b] if self.b is not None else False)


@dataclass(frozen=True, slots=True)
class Puzzle:
    """People by name, and what each says."""

    names: tuple[int, ...]
    said: tuple[Says, ...]

    @property
    def solution(self) -> Kinds:
        """The only solution."""
        return solutions(self.said)[0]


@cache
def solutions(said: tuple[Says, ...]) -> list[Kinds]:
    """Return all assignments in which knights tell the truth and knaves do not."""
    return [
        kinds
        for kinds in product((False, True), repeat=len(said))
        if all(says.true(kinds) == kind for says, kind in zip(said, kinds, strict=True))
    ]


def made(rng: random.Random) -> Puzzle:
    """Return a puzzle with one solution, each of the eight as likely: kinds are drawn first, then what they would say."""
    kinds = tuple(rng.random() < 0.5 for _ in range(PEOPLE))
    while True:
        said = tuple(_says(rng, who, kinds) for who in range(PEOPLE))
        if len(solutions(said)) == 1:
            return Puzzle(tuple(rng.sample(range(NAMES), PEOPLE)), said)


def puzzles(seed: str) -> Iterator[Puzzle]:
    """Yield puzzles; those of another seed differ from them."""
    rng = random.Random(seed)
    while True:
        yield made(rng)


def with_another_statement(puzzle: Puzzle, rng: random.Random) -> Puzzle | None:
    """Return a puzzle in which one person says something else, with another solution; None where there is none."""
    for who in rng.sample(range(PEOPLE), PEOPLE):
        for says in rng.sample(_all(who), len(_all(who))):
            said = (*puzzle.said[:who], says, *puzzle.said[who + 1 :])
            found = solutions(said)
            if len(found) == 1 and found[0] != puzzle.solution:
                return replace(puzzle, said=said)
    return None


def with_other_names(puzzle: Puzzle, rng: random.Random) -> Puzzle:
    """Return a puzzle about other people; its solution stays."""
    return replace(puzzle, names=tuple(rng.sample([n for n in range(NAMES) if n not in puzzle.names], PEOPLE)))


def coded(puzzle: Puzzle) -> list[int]:
    """Return the tokens of a puzzle and its solution, which are the last ones."""
    names = [_FIRST_NAME + name for name in puzzle.names]
    tokens = [1, *names]
    for who, says in zip(names, puzzle.said, strict=True):
        of = _NOBODY if says.b is None else names[says.b]
        tokens += [who, _FIRST_SAYS + list(SAYS).index(says.what), names[says.a], of]
    return [*tokens, _ASK, *(_FIRST_KIND + kind for kind in puzzle.solution)]


@cache
def _all(who: int) -> list[Says]:
    """Return all that a person can say: of one other, or of two people."""
    others = [person for person in range(PEOPLE) if person != who]
    of_one = [Says(what, other, None) for what in OF_ONE for other in others]
    pairs = list(combinations(range(PEOPLE), 2))
    return of_one + [Says(what, *pair) for what in SAYS if what not in OF_ONE for pair in pairs]


def _says(rng: random.Random, who: int, kinds: Kinds) -> Says:
    """Return what a person of a kind would say."""
    return rng.choice([says for says in _all(who) if says.true(kinds) == kinds[who]])
