"""Links among similar memories: a mixture of two Gaussians decides for each which ones are similar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import to_micros
from mnemos.facts import Link
from mnemos.registry import Paper, register
from mnemos.store.setting import stored_value
from mnemos.text.base import Memory
from mnemos.text.consolidate.report import Budget
from mnemos.text.recall.corpus import Corpus

Floats = NDArray[np.floating]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Links = tuple[Ints, Ints, Doubles]

BLOCK = 256  # new rows multiplied at once: 100 MB of similarities with 100,000 rows
LEAST_VARIANCE = 1e-4  # of a component, so that many equal similarities do not become a spike
FEW = 4  # candidates below which nothing can be fitted


@dataclass(frozen=True, slots=True)
class Mixture:
    """Two Gaussians fitted to each of M rows of K values, the one with the lower mean first."""

    mean: Doubles  # (M, 2)
    variance: Doubles  # (M, 2)
    share: Doubles  # (M, 2)
    high: Doubles  # (M, K) the probability that a value belongs to the component with the higher mean


@register(
    "similar",
    papers=(
        Paper(
            "Towards Multi-Granularity Memory Association and Selection for Long-Term Conversational Agents",
            "2505.19549",
            code="quqxui/MemGAS",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class SimilarLinks:
    """Link each new memory to those that a mixture of two Gaussians marks as similar.

    Two Gaussians are fitted to the cosines of a new memory with its nearest ones. The members of the one with the
    higher mean become links. Where nothing can be fitted (fewer than 4 candidates, or means too close), those with a
    high cosine do.

    Cost: M N D multiplications for M new memories among N of dimension D, about 2 ms a memory among 100,000 of 384
    numbers on one core (0.3 ms among 6,000), and `steps` passes over M x `candidates` values.

    Deviation: the paper fits the mixture to the similarities with all memories; here to the nearest only, since the
    many unrelated ones say nothing about where similarity begins.
    """

    candidates: int = 64  # nearest memories that the mixture is fitted to
    most: int = 8  # links of a new memory
    steps: int = 30  # of expectation maximisation
    floor: float = 0.3  # cosine of a link, at least
    apart: float = 0.05  # how far the means must differ, else nothing was fitted
    plain: float = 0.7  # cosine of a link, at least, where nothing could be fitted
    batch: int = 4_000  # new memories that one run links

    def run(self, memory: Memory, budget: Budget) -> None:
        """Link the cubes that are new since the last run to those that are like them."""
        corpus = memory.corpus()
        if corpus is None or memory.model_key() is None:
            return
        store = memory.store
        new, pairs = self.link_new(corpus, stored_value(store, "linked", int) or 0)
        if not len(new):
            return
        keys = corpus.keys
        cubes = store.by_key(sorted({int(keys[i]) for pair in pairs for i in pair[:2]}))
        links = [
            Link(cubes[int(keys[i])].id, cubes[int(keys[j])].id, "similar", round(float(weight), 4))
            for i, j, weight in pairs
            if int(keys[i]) in cubes and int(keys[j]) in cubes
        ]
        with store.transaction():
            store.links.put(links, to_micros(memory.clock()))
            store.meta.set("linked", str(int(keys[new].max())))
        budget.done.linked += len(new)
        budget.done.more |= len(new) >= self.batch

    def link_new(self, corpus: Corpus, after: int) -> tuple[Ints, list[tuple[int, int, float]]]:
        """Return the positions of the oldest original cubes with keys above `after`, a batch, and links among cubes.

        A link is (position, position, cosine), each pair once; both are alive, have a vector and are not derived.
        """
        originals = corpus.alive & ~corpus.derived
        new = np.flatnonzero(originals & (corpus.keys > after))[: self.batch]
        usable = originals & corpus.vectors.present
        places = np.flatnonzero(usable)
        wanted = new[usable[new]]
        if not len(wanted) or len(places) < 2:
            return new, []
        every = corpus.vectors.rows[places]
        own = np.searchsorted(places, wanted)
        i, j, weight = self.link(every[own], every, own)
        pairs = {}
        for a, b, w in zip(wanted[i].tolist(), places[j].tolist(), weight.tolist(), strict=True):
            pairs[min(a, b), max(a, b)] = w
        return new, [(a, b, w) for (a, b), w in pairs.items()]

    def link(self, new: Floats, every: Floats, own: Ints | None = None) -> Links:
        """Return (i, j, weight): row i of `new` (M, D) is similar to row j of `every` (N, D), with this cosine.

        Rows of zeros are similar to nothing. `own` (M,) is the row of `every` that each new one is, so that it is not
        linked to itself; -1 for none. Ordered by i, then by falling weight.
        """
        rows = _unit(every)
        found: list[Links] = []
        for start in range(0, len(new), BLOCK):
            block = _unit(new[start : start + BLOCK])
            own_rows = None if own is None else own[start : start + BLOCK]
            i, j, weight = self._link(block, rows, own_rows)
            found.append((i + start, j, weight))
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        i, j, weight = (np.concatenate(part) for part in zip(*found, strict=True))
        return i, j, weight

    def _link(self, block: NDArray[np.float32], rows: NDArray[np.float32], own: Ints | None) -> Links:
        cosines = block @ rows.T
        cosines[:, ~rows.any(axis=1)] = -2
        if own is not None:
            there = np.flatnonzero(own >= 0)
            cosines[there, own[there]] = -2
        k = min(self.candidates, cosines.shape[1])
        near = np.argpartition(-cosines, k - 1, axis=1)[:, :k] if k else np.zeros((len(block), 0), np.int64)
        values = np.take_along_axis(cosines, near, axis=1).astype(np.float64)
        order = np.lexsort((near, -values), axis=1)
        near, values = np.take_along_axis(near, order, 1), np.take_along_axis(values, order, 1)
        wanted = self.alike(values, (values > -1.5) & block.any(axis=1, keepdims=True))
        wanted[:, self.most :] = False
        i, place = np.nonzero(wanted)
        return i.astype(np.int64), near[i, place].astype(np.int64), values[i, place]

    def alike(self, values: Doubles, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the similarities (M, K), where `there`, mark similar memories, (M, K)."""
        fitted = fit(values, there, self.steps)
        split = (there.sum(axis=1) >= FEW) & (fitted.mean[:, 1] - fitted.mean[:, 0] >= self.apart)
        members = (fitted.high > 0.5) & (values > fitted.mean[:, :1]) & (values >= self.floor)
        wanted: NDArray[np.bool_] = there & np.where(split[:, None], members, values >= self.plain)
        return wanted


def fit(values: Doubles, there: NDArray[np.bool_], steps: int) -> Mixture:
    """Fit two Gaussians to each row of `values` (M, K), where `there`, by expectation maximisation.

    They start at the means of the values below and above the middle of each row's range, with the row's variance.
    """
    shown = np.where(there, values, 0.0)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    low = np.where(there, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    top = np.where(there, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):  # rows without values have no range
        upper = there & (values >= (low + top) / 2)
    parts = np.stack([there & ~upper, upper], axis=2).astype(np.float64)
    all_mean = shown.sum(axis=1, keepdims=True) / count
    all_variance = (np.where(there, values - all_mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count
    mean, variance, share = _moments(shown, parts, count, all_mean)
    variance = np.repeat(np.maximum(all_variance, LEAST_VARIANCE), 2, axis=1)
    for _ in range(steps):
        parts = _belonging(shown, there, mean, variance, share)
        mean, variance, share = _moments(shown, parts, count, all_mean)
    parts = _belonging(shown, there, mean, variance, share)
    swap = mean[:, 0] > mean[:, 1]
    order = np.where(swap[:, None], [1, 0], [0, 1])
    mean, variance, share = (np.take_along_axis(a, order, axis=1) for a in (mean, variance, share))
    return Mixture(mean, variance, share, np.where(swap[:, None], parts[:, :, 0], parts[:, :, 1]))


def _moments(values: Doubles, parts: Doubles, count: Ints, fallback: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Return mean, variance and share of the components; `parts` (M, K, 2) says how values belong to them."""
    mass = parts.sum(axis=1)
    safe = np.maximum(mass, 1e-12)
    mean = np.where(mass > 1e-9, np.einsum("mk,mkc->mc", values, parts) / safe, fallback)
    squares = np.einsum("mkc,mkc->mc", (values[:, :, None] - mean[:, None, :]) ** 2, parts)
    return mean, np.maximum(squares / safe, LEAST_VARIANCE), mass / count


def _belonging(values: Doubles, there: NDArray[np.bool_], mean: Doubles, variance: Doubles, share: Doubles) -> Doubles:
    """Return the probability that each value belongs to each component, (M, K, 2); zeros where there is no value."""
    away = (values[:, :, None] - mean[:, None, :]) ** 2 / variance[:, None, :]
    logs = np.log(np.maximum(share, 1e-12))[:, None, :] - 0.5 * (away + np.log(variance)[:, None, :])
    logs -= logs.max(axis=2, keepdims=True)
    parts = np.exp(logs)
    likely: Doubles = parts / parts.sum(axis=2, keepdims=True) * there[:, :, None]
    return likely


def _unit(rows: Floats) -> NDArray[np.float32]:
    block: NDArray[np.float32] = np.asarray(rows, dtype=np.float32)
    norms: NDArray[np.float32] = np.linalg.norm(block, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(block, np.maximum(norms, 1e-9), dtype=np.float32)
    return unit
