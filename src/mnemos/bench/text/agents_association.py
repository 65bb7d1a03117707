"""Questions over a graph of facts that lack what bridges them: search with association beside what retrieves once.

People work at firms, firms are in towns, towns have mayors, mayors keep animals. A question names the person and the relations
and not what lies between, so no fact in the middle shares a word with it. The reasoner follows facts that it knows; it knows
the ten that the question finds, and with association also what each step finds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mnemos.space import Space
from mnemos.text.agent.association import AssociativeSearch

RELATIONS = ("works at", "is based in", "has the mayor", "keeps the animal")
OTHERS = ("is a friend of", "dislikes", "once wrote to", "was painted by")
FIRST, EACH = 10, 8  # facts that a question finds, and a step


@dataclass(frozen=True)
class World:
    """Facts, and questions with their answers."""

    facts: list[str]
    questions: list[tuple[str, str, str]]  # the question, whom it starts from, the answer

    @staticmethod
    def draw(seed: int, size: int, number: int) -> World:
        """Draw a graph of `size` chains that share their ends, with three facts of no use for each name."""
        rng = Random(seed)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
        names = rng.sample(
            [(a + b + c).capitalize() for a in syllables for b in syllables for c in ("n", "r")], 5 * size
        )
        layers = [names[i * size : (i + 1) * size] for i in range(5)]
        links = [{name: rng.choice(layers[i + 1]) for name in layers[i]} for i in range(4)]
        facts = [f"{name} {RELATIONS[i]} {links[i][name]}." for i in range(4) for name in layers[i]]
        facts += [f"{name} {rng.choice(OTHERS)} {rng.choice(names)}." for name in names for _ in range(3)]
        rng.shuffle(facts)
        questions = []
        for person in rng.sample(layers[0], number):
            answer = person
            for link in links:
                answer = link[answer]
            questions.append((f"Which animal does the mayor of the place keep where {person} works?", person, answer))
        return World(facts, questions)


def answered(space: Space, world: World, expansions: int, *, associate: bool, beta: float) -> list[bool]:
    """Return for each question whether the search gives the right answer."""

    def found(query: str, k: int) -> list[str]:
        return [hit.cube.text for hit in space.search(query, k, method="words")]

    right = []
    for question, person, answer in world.questions:
        search = AssociativeSearch(
            steps=_steps,
            associate=(lambda step: found(_end(step), EACH)) if associate else (lambda step: ()),
            score=lambda step: max((i + 1) / 4 for i, r in enumerate(("", *RELATIONS)) if r in step) - 0.25,
            related=lambda step, memory: sum(any(r in m for r in RELATIONS) for m in memory) / EACH,
            done=lambda path: len(path) == len(RELATIONS) + 1,
            beta=beta,
        )
        path = search.search(person, found(question, FIRST), expansions)
        right.append(path is not None and _end(path[-1]) == answer)
    return right


def retrieved_once(space: Space, world: World, number: int) -> list[bool]:
    """Return for each question whether the facts that it finds, `number` at once, lead to the answer."""
    right = []
    for question, person, answer in world.questions:
        known = [hit.cube.text for hit in space.search(question, number, method="words")]
        path = [person]
        while len(path) <= len(RELATIONS) and (following := _steps(path, known)):
            path.append(following[0])
        right.append(_end(path[-1]) == answer)
    return right


def _steps(path: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the known facts that begin where a path ends; those of the relation that is due only, once there are some."""
    at = _end(path[-1])
    due = [fact for fact in known if fact.startswith(f"{at} ")]
    fit = [fact for fact in due if len(path) <= len(RELATIONS) and RELATIONS[len(path) - 1] in fact]
    return fit or due


def _end(step: str) -> str:
    """Return the name with which a fact ends, or a name itself."""
    return str(re.findall(r"\w+", step)[-1])
