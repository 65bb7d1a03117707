"""Episodes: a stream of turns cut where its topic changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import Paper, register
from mnemos.store.values import DerivedCube, Member
from mnemos.text.base import Memory
from mnemos.text.consolidate.derive import Writer
from mnemos.text.consolidate.groups import Group, fingerprint, groups
from mnemos.text.consolidate.report import Budget
from mnemos.text.recall.corpus import Corpus

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Pieces = list[tuple[int, int]]
SWEEPS = 3  # passes in which each boundary is moved; few streams change after the second


@register(
    "episodes",
    papers=(Paper("Human-like Episodic Memory for Infinite Context LLMs", "2407.09450", code="em-llm/EM-LLM-model"),),
)
@dataclass(frozen=True, slots=True)
class Episodes:
    """Cut a stream of turns where one is surprising, then move each cut to where the two sides cohere best.

    The surprise of turn t is 1 - cosine(v_t, m), with m the mean of the episode so far. An episode begins where it is
    above mean + gamma * std of the last surprises. Then each cut is moved, between its neighbours, to where it
    maximises the modularity of the graph of similarities (cosines, negative ones as 0) of the turns, and dropped where
    its two sides hardly differ. Cost: O(T D + T L D), L the length of two neighbouring episodes: 0.15 ms a turn of 384
    numbers.

    Deviations: the paper's surprise is that of a language model's tokens, and its graph that of attention keys. Here
    both are of the vectors of turns, so that no language model is needed. Dropping cuts is ours: a mean of few turns is
    often surprised.
    """

    gamma: float = 1.0  # standard deviations above the mean from which a surprise begins an episode
    window: int = 32  # surprises that mean and deviation are of
    memory: float = 0.8  # how much a turn counts in the episode's mean, relative to the next
    shortest: int = 3  # turns of an episode at least, between gaps
    longest: int = 48  # turns of an episode at most
    gap: float = 6 * 3600.0  # seconds without a turn that always cut
    contrast: float = 0.2  # how far the two sides of a cut must differ, 0 to 2
    refine: bool = True  # whether cuts are moved to the best modularity

    def run(self, memory: Memory, budget: Budget) -> None:
        """Cut each session whose summary is missing or stale; a session with one topic gets no episodes."""
        derived, corpus, writer = memory.store.derived.existing(), memory.corpus(), Writer(memory)
        for group in groups(memory.store.derived.members(), "session"):
            if budget.spent:
                break
            if not group.is_current(derived):
                parts = [group.members[start:stop] for start, stop in cut(corpus, group.members, self)]
                _write(writer, group, parts, derived, budget)
        writer.flush()

    def cut(self, vectors: Floats, times: Floats) -> Pieces:
        """Return the episodes of turns with `vectors` (T, D) at `times` (T,) in seconds, as (start, end) in order."""
        rows = _unit(vectors)
        count = len(rows)
        gaps = {i for i in range(1, count) if times[i] - times[i - 1] >= self.gap}
        cuts = self._surprising(rows, gaps)
        if self.refine:
            cuts = self._refined(rows, cuts, gaps)
        edges = [0, *self._not_too_long(rows, cuts), count]
        return [(a, b) for a, b in pairwise(edges) if b > a]

    def _surprising(self, rows: Doubles, gaps: set[int]) -> list[int]:
        """Return the surprising turns, which begin episodes, in order."""
        cuts: list[int] = []
        recent: list[float] = []
        mean, start = np.zeros(rows.shape[1]), 0
        for t, row in enumerate(rows):
            if t in gaps:
                cuts.append(t)
                mean, start = row.copy(), t
                continue
            if t:
                surprise = 1.0 - float(row @ mean) / max(float(np.linalg.norm(mean)), 1e-9)
                known = np.array(recent[-self.window :])
                late = len(known) >= self.shortest and surprise > known.mean() + self.gamma * known.std() + 1e-9
                recent.append(surprise)
                if late and t - start >= self.shortest:
                    cuts.append(t)
                    mean, start = np.zeros_like(row), t
            mean = self.memory * mean + row
        return cuts

    def _refined(self, rows: Doubles, cuts: list[int], gaps: set[int]) -> list[int]:
        """Return the cuts, each except those of gaps moved between its neighbours to the best modularity."""
        for _ in range(SWEEPS):
            before = list(cuts)
            for n, cut in enumerate(cuts):
                start = cuts[n - 1] if n else 0
                stop = cuts[n + 1] if n + 1 < len(cuts) else len(rows)
                start, stop = max(start, cut - 2 * self.longest), min(stop, cut + 2 * self.longest)
                if cut not in gaps:
                    cuts[n] = start + best_split(rows[start:stop], self.shortest, cut - start)
            if cuts == before:
                break
        return self._parting(rows, cuts, gaps)

    def _parting(self, rows: Doubles, cuts: list[int], gaps: set[int]) -> list[int]:
        """Return the cuts without those whose two sides are similar, dropping the weakest first."""
        edges = [0, *cuts, len(rows)]

        def parts(n: int) -> float:
            return 2.0 if edges[n] in gaps else contrast(rows[edges[n - 1] : edges[n]], rows[edges[n] : edges[n + 1]])

        found = [2.0, *(parts(n) for n in range(1, len(edges) - 1)), 2.0]
        while min(found) < self.contrast:
            n = found.index(min(found))
            del edges[n], found[n]
            for near in (n - 1, n):
                if 0 < near < len(edges) - 1:
                    found[near] = parts(near)
        return edges[1:-1]

    def _not_too_long(self, rows: Doubles, cuts: list[int]) -> list[int]:
        """Return the cuts with episodes longer than `longest` split where their halves cohere best."""
        done: list[int] = []
        todo = [*cuts, len(rows)]
        start = 0
        while todo:
            stop = todo[0]
            if stop - start <= self.longest:
                start = todo.pop(0)
                done.append(start)
                continue
            reach = min(stop, start + 2 * self.longest)
            place = start + best_split(rows[start:reach], self.shortest, (reach - start) // 2)
            todo.insert(0, min(place, start + self.longest))
        return done[:-1]


def best_split(rows: Floats, shortest: int, otherwise: int) -> int:
    """Return where to split turns (L, D) in two, each of at least `shortest`, for the highest modularity.

    Q = (inside_1 + inside_2) / 2m - (degree_1^2 + degree_2^2) / (2m)^2 over the graph of similarities, for all splits
    at once by cumulative sums: O(L^2 D). Returns `otherwise` where no split is possible; among equals the nearest to
    it.
    """
    length = len(rows)
    if length < 2 * shortest:
        return otherwise
    graph = np.maximum(rows @ rows.T, 0.0).astype(np.float64)
    np.fill_diagonal(graph, 0.0)
    degrees = graph.sum(axis=1)
    total = float(degrees.sum())
    if total <= 1e-12:
        return otherwise
    places = np.arange(shortest, length - shortest + 1)
    inside = np.cumsum(np.cumsum(graph, axis=0), axis=1).diagonal()
    degree = np.cumsum(degrees)
    first, last = inside[places - 1], total - 2 * degree[places - 1] + inside[places - 1]
    parts = degree[places - 1]
    modularity = (first + last) / total - (parts**2 + (total - parts) ** 2) / total**2
    best = places[modularity >= modularity.max() - 1e-12]
    return int(best[np.argmin(np.abs(best - otherwise))])


def contrast(first: Floats, second: Floats) -> float:
    """Return the contrast of two runs of unit vectors, (A, D) and (B, D): 1 - mean cosine between / within them.

    0 when the runs are as similar to each other as to themselves, 1 when they are unrelated; at most 2.
    """
    a, b = len(first), len(second)
    one, two = first.sum(axis=0), second.sum(axis=0)
    pairs = a * (a - 1) + b * (b - 1)
    within = float(one @ one + two @ two - np.sum(first * first) - np.sum(second * second)) / max(pairs, 1)
    return 1.0 - min(max(float(one @ two) / (a * b) / max(within, 1e-9), -1.0), 1.0)


def cut(corpus: Corpus | None, members: Sequence[Member], episodes: Episodes) -> Pieces:
    """Return the episodes of members in order of time as (start, end); a single one where they have no vectors."""
    if corpus is None or not members:
        return [(0, len(members))] if members else []
    keys = np.array([m.key for m in members], dtype=np.int64)
    places = corpus.positions(keys)
    if len(places) < len(keys) or not corpus.vectors.present[places].any():
        return [(0, len(members))]
    return episodes.cut(corpus.vectors.rows[places], np.array([m.at for m in members]) / 1e6)


def _write(
    writer: Writer, group: Group, parts: Sequence[Sequence[Member]], derived: Mapping[str, DerivedCube], budget: Budget
) -> None:
    """Write the episodes of a session, and drop old ones that begin at other turns."""
    memory = writer.memory
    wanted = {f"episode:{part[0].id}": part for part in parts} if len(parts) > 1 else {}
    own = {f"episode:{m.id}" for m in group.members}
    stale = [d.id for d in derived.values() if d.of in own and d.of not in wanted]
    writer.drop(stale)
    budget.done.removed += len(stale)
    for of, part in wanted.items():
        existing, mark = derived.get(of), fingerprint((m.id, m.version) for m in part)
        if existing and existing.fingerprint == mark:
            continue
        cubes = memory.store.by_key([m.key for m in part])
        texts = [cubes[m.key].text for m in part if m.key in cubes]
        title, summary = memory.rules.title(texts), memory.rules.summarise(texts, 2)
        text = f"{title} ({part[0].when:%Y-%m-%d %H:%M}): {summary}" if summary else title
        if text:
            writer.put("episode", of, text, part, mark, existing, {"title": title, "turns": len(part)})
            budget.done.count("episode")


def _unit(rows: Floats) -> Doubles:
    block = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(block, axis=1, keepdims=True)
    unit: Doubles = block / np.where(norms > 1e-9, norms, 1.0)
    return unit
