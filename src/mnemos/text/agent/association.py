"""Search with association: each step of a search tree asks the memory for what is new and related to it.

Chain-of-Associated-Thoughts (CoAT, arXiv 2502.02390): Monte Carlo tree search in which a node has a step G and an associated
memory A, worth F_g(question, G) + beta * F_a(G, A). A model writes steps in the paper; here the caller's functions do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mnemos.arguments import check_count

Steps = Callable[[Sequence[str], Sequence[str]], Sequence[str]]  # (path so far, what is known on it) -> next steps
Associate = Callable[[str], Sequence[str]]  # a step -> memories related to it
Score = Callable[[str], float]  # how well a step serves the question, from 0 to 1
Related = Callable[[str, Sequence[str]], float]  # how well memories suit a step, from 0 to 1


@dataclass
class Thought:
    """A node of the tree: a step, what was remembered for it, and what the search makes of it."""

    step: str
    above: Thought | None = None
    memory: tuple[str, ...] = ()  # what is known at this step and was not known above
    value: float = 0.0  # the mean of the values found at and below it
    visits: int = 0
    below: list[Thought] = field(default_factory=list)

    def path(self) -> list[str]:
        """Return the steps from the root to this one."""
        return [*(self.above.path() if self.above else ()), self.step]

    def known(self) -> list[str]:
        """Return what was remembered on the way, oldest first."""
        return [*(self.above.known() if self.above else ()), *self.memory]


@dataclass(frozen=True)
class AssociativeSearch:
    """Searches for a path of steps; `associate` returning nothing and `beta` of 0 make it plain tree search."""

    steps: Steps
    associate: Associate
    score: Score
    related: Related
    done: Callable[[Sequence[str]], bool]  # whether a path answers the question
    beta: float = 0.3  # weight of what was remembered
    explore: float = 1.0  # constant of UCT

    def search(self, start: str, known: Sequence[str], expansions: int) -> list[str] | None:
        """Return a path that answers, or None if none was found within so many expansions of nodes."""
        root = Thought(start, memory=tuple(known))
        root.memory = self._remembered(root)
        for _ in range(check_count(expansions, "expansions")):
            node = self._chosen(root)
            there = {child.step for child in node.below}
            path = node.path()
            for step in self.steps(path, node.known()):
                if step in there or step in path:
                    continue
                child = Thought(step, node)
                child.memory = self._remembered(child)
                node.below.append(child)
                worth = self.score(step) + self.beta * self.related(step, child.memory)
                self._count(child, worth)
                if self.done(child.path()):
                    return child.path()
            if not node.below:
                self._count(node, 0.0)
        return None

    def _remembered(self, node: Thought) -> tuple[str, ...]:
        """Return what a node knows that is not known above it."""
        above = set(node.above.known()) if node.above else set()
        return tuple(dict.fromkeys([*node.memory, *(m for m in self.associate(node.step) if m not in above)]))

    def _chosen(self, node: Thought) -> Thought:
        """Descend by UCT to a node that was not expanded yet."""
        while node.below:
            total = math.log(max(node.visits, 1) + 1)
            node = max(node.below, key=lambda c: c.value + self.explore * math.sqrt(total / (c.visits or 1e-9)))
        return node

    def _count(self, node: Thought | None, worth: float) -> None:
        while node is not None:
            node.visits += 1
            node.value += (worth - node.value) / node.visits
            node = node.above
