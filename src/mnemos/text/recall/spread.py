"""Spreading activation: what is linked to the best hits rises, and where the answer is unsure other sessions do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import Paper, register
from mnemos.text.recall.corpus import Corpus

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Links = tuple[Ints, Ints, Doubles]

# Chosen on LoCoMo's development split (conv-26, 30, 41, 42, 43), each fifth of it scored with the others' weight.
WEIGHT = 0.9  # of the logarithm of what a cube receives
LEAST = 1e-4  # what every cube is taken to receive, so that the logarithm of nothing is not -inf
SHARED = 3.0  # how much a link of shared rare terms counts by the side of one of likeness
RARE = 12  # cubes in which a term may stand that links them
COVERED = 0.4  # taken off for each better hit of the same session, where the answer is unsure
UNSURE = 1.0  # entropy (nats) from which the answer counts as unsure; fully so one nat above
BEST, LOOK, HITS = 50, 60, 5  # hits the entropy is of; hits that are set off against each other; those counted at most
HIPPORAG = Paper(
    "HippoRAG: Neurobiologically Inspired Long-Term Memory for Large Language Models",
    "2405.14831",
    code="OSU-NLP-Group/HippoRAG",
)
MMR = Paper("The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries")
MEMGAS = Paper(
    "Towards Multi-Granularity Memory Association and Selection for Long-Term Conversational Agents",
    "2505.19549",
    code="quqxui/MemGAS",
)


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


@register("pagerank", papers=(HIPPORAG, MEMGAS))
@dataclass(frozen=True, slots=True)
class PageRank:
    """Personalised PageRank from the best hits over links: p = (1 - damping) s + damping P' p.

    s is the softmax of score / `temperature` over the `seeds` best hits, P the links with rows that sum to 1; a cube
    without links hands what it has back to s. By power iteration until what still moves is below `least`, which then
    stays where it is: p sums to 1. What moves and is less than `small` at a cube stays there too. Cubes that came after
    the graph was made have no links.

    Cost: O(N) and O(links of what is reached) a step, log(least) / log(damping) steps at most.
    """

    seeds: int = 15  # best hits to start from
    temperature: float = 1.0  # of the softmax over their scores
    damping: float = 0.6  # share that moves on along links at each step
    least: float = 1e-8  # mass that may still move when the iteration stops
    small: float = 0.0  # mass at a cube below which it stays there

    def start(self, scores: Floats) -> Doubles:
        """Return s, (N,): the softmax over the best finite scores; zeros when there is none."""
        s = np.zeros(len(scores))
        best = _best(scores, self.seeds)
        if len(best):
            s[best] = np.exp((scores[best] - scores[best[0]]) / self.temperature)
            s /= s.sum()
        return s

    def rank(self, graph: Graph, s: Doubles) -> Doubles:
        """Return p, (N,), from s (N,), which is not negative and sums to 1."""
        p, moving = np.zeros(len(s)), s.copy()
        while float(moving.sum()) > self.least:
            nodes = np.flatnonzero(moving > self.small)
            if not len(nodes):
                break
            p += moving
            mass = self.damping * moving[nodes]
            p[nodes] -= mass
            linked = nodes < len(graph)
            place, links = graph.out(nodes[linked])
            handed = mass[linked][place] * graph.weights[links]
            moving = np.bincount(graph.targets[links], handed, minlength=len(s)).astype(np.float64, copy=False)
            moving += max(float(mass.sum() - moving.sum()), 0.0) * s
        return p + moving


QUICK = PageRank(least=1e-3, small=1e-4)  # what is below LEAST makes no difference


def rare_links(count: int, postings: Iterable[Ints], rare: int = RARE) -> Links:
    """Return links (i, j, weight) among the cubes that share a term which stands in 2 to `rare` of `count` cubes.

    `postings` are the positions of each term. A link weighs log(count / df) / df: what few share says most, and a term
    shared by many does not tie its cubes together more often than one shared by few. O(terms) and O(links).
    """
    by_size: dict[int, list[Ints]] = {}
    for positions in postings:
        if 2 <= len(positions) <= rare:
            by_size.setdefault(len(positions), []).append(positions)
    rows, columns, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for df, same in by_size.items():
        places = np.array(same, dtype=np.int64)
        a, b = np.triu_indices(df, 1)
        rows.append(places[:, a].ravel())
        columns.append(places[:, b].ravel())
        weights.append(np.full(len(rows[-1]), np.log(count / df) / df))
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)


def recall_graph(count: int, similar: Links, shared: Links) -> Graph:
    """Return the graph that `spread` walks: links of likeness, and those of shared rare terms, which count SHARED."""
    i, j, weight = (np.concatenate(pair) for pair in zip(similar, shared, strict=True))
    weight[len(similar[0]) :] *= SHARED
    return make_graph(count, i, j, weight)


@register("spread", papers=(HIPPORAG, MMR))
def spread(corpus: Corpus, scores: NDArray[np.float32], graph: Graph) -> NDArray[np.float32]:
    """Return the scores (N,) with what links and other sessions add and take; -inf stays -inf.

    Added is WEIGHT * log(p + LEAST), p the PageRank from the best hits. Then, where the softmax of the best scores has
    an entropy above UNSURE, COVERED is taken off for each better hit of the same session: the answers to "which books
    has she read" are spread over sessions. Cost: O(N) and O(links of the hits):
    0.5 ms for 6,000 cubes with 30 links each, 1.7 ms for 100,000.
    """
    s = QUICK.start(scores)
    risen = (scores + WEIGHT * np.log(QUICK.rank(graph, s) + LEAST)).astype(np.float32)
    return _covered(risen, corpus.layout().session)


def unsureness(scores: Floats, best: Ints) -> float:
    """Return how unsure the answer is, 0 to 1, by the entropy of the softmax over the scores of the `best` hits."""
    shares = np.exp(scores[best] - scores[best].max())
    shares = shares / shares.sum()
    entropy = -float((shares * np.log(np.maximum(shares, 1e-30))).sum())
    return min(max(entropy - UNSURE, 0.0), 1.0)


def _covered(scores: NDArray[np.float32], session: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the scores less what better hits of the same session take off; a cube without a session keeps its own."""
    best = _best(scores, LOOK)
    if not len(best):
        return scores
    penalty = np.float32(COVERED * unsureness(scores, best[:BEST]))
    if not penalty:
        return scores
    inside = session[best]
    better = np.tril((inside[:, None] == inside) & (inside >= 0)[:, None], -1).sum(axis=1)
    less = scores - penalty * HITS
    less[best] = scores[best] - penalty * np.minimum(better, HITS)
    return less


def _best(scores: Floats, most: int) -> Ints:
    """Return the places of the `most` highest finite scores, best first, among equals the last first."""
    finite = np.flatnonzero(np.isfinite(scores))
    if len(finite) > most:
        finite = finite[scores[finite] >= np.partition(scores[finite], len(finite) - most)[len(finite) - most]]
    return finite[np.lexsort((-finite, -scores[finite]))][:most]
