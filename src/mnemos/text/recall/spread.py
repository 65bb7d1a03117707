"""Spreading activation: what is linked to the best hits is looked at too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.methods import Paper, method

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Graph:
    """Links among N cubes in both directions, row by row: those of cube i are at `starts[i]:starts[i + 1]`.

    `starts` (N + 1,), `targets` (E,) positions, `weights` (E,) summing to 1 over each row that has links.
    """

    starts: Ints
    targets: Ints
    weights: Doubles

    def __len__(self) -> int:
        return len(self.starts) - 1

    def out(self, nodes: Ints) -> tuple[Ints, Ints]:
        """Return the links of `nodes` (M,): (the place in `nodes` of each, its index into `targets`)."""
        counts = self.starts[nodes + 1] - self.starts[nodes]
        place = np.repeat(np.arange(len(nodes)), counts)
        before = np.cumsum(counts) - counts
        return place, np.arange(len(place)) - np.repeat(before - self.starts[nodes], counts)


def make_graph(count: int, i: Ints, j: Ints, weight: Floats) -> Graph:
    """Return the graph of `count` cubes with links (i, j, weight), each (E,), taken in both directions.

    Links given twice add up; those of a cube to itself, or without a positive weight, are left out. O(E log E).
    """
    kept = (i != j) & (weight > 0)
    rows, targets = np.concatenate([i[kept], j[kept]]), np.concatenate([j[kept], i[kept]])
    weights = np.concatenate([weight[kept], weight[kept]]).astype(np.float64)
    order = np.lexsort((targets, rows))
    rows, targets, weights = rows[order].astype(np.int64), targets[order].astype(np.int64), weights[order]
    starts = np.r_[0, np.cumsum(np.bincount(rows, minlength=count))].astype(np.int64)
    total = np.bincount(rows, weights, minlength=count)
    return Graph(starts, targets, weights / total[rows] if len(rows) else weights)


@method(
    "spread",
    form="text",
    operation="recall",
    papers=(
        Paper("HippoRAG: Neurobiologically Inspired Long-Term Memory for Large Language Models", "2405.14831"),
        Paper(
            "Towards Multi-Granularity Memory Association and Selection for Long-Term Conversational Agents",
            "2505.19549",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class PageRank:
    """Personalised PageRank from the best hits over links: p = (1 - damping) s + damping P' p.

    s is the softmax of score / `temperature` over the `seeds` best hits, P the links with rows that sum to 1; a cube
    without links hands what it has back to s. By power iteration until what still moves is below `least`, which then
    stays where it is: p sums to 1. A cube that holds less than `small` of what moves hands nothing on.

    Cost: O(N) and O(links of what is reached) a step, log(least) / log(damping) steps at most.
    """

    seeds: int = 15
    temperature: float = 1.0
    damping: float = 0.5
    least: float = 1e-8
    small: float = 0.0

    def start(self, scores: Floats) -> Doubles:
        """Return s, (N,): the softmax over the best finite scores; zeros when there is none."""
        s = np.zeros(len(scores))
        finite = np.flatnonzero(np.isfinite(scores))
        best = finite[np.lexsort((-finite, -scores[finite]))[: self.seeds]]
        if len(best):
            s[best] = np.exp((scores[best] - scores[best[0]]) / self.temperature)
            s /= s.sum()
        return s

    def rank(self, graph: Graph, s: Doubles) -> Doubles:
        """Return p, (N,), from s (N,), which is not negative and sums to 1."""
        p, moving = np.zeros(len(s)), s.copy()
        while (left := float(moving.sum())) > self.least:
            nodes = np.flatnonzero(moving > self.small)
            if not len(nodes):
                break
            p += moving
            mass = self.damping * moving[nodes]
            p[nodes] -= mass
            place, links = graph.out(nodes)
            handed = mass[place] * graph.weights[links]
            moving = np.bincount(graph.targets[links], handed, minlength=len(s)).astype(np.float64, copy=False)
            stuck = float(mass.sum() - moving.sum())
            if stuck > 1e-15 * left:
                moving += stuck * s
        return p + moving
