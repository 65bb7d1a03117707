"""Keys that tell memories apart: vectors whitened over the space, while the text stays the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.query import Query

Floats = NDArray[np.float32]
KEY_VALUE = Paper("Key-value memory in the brain", "2501.02950")
Reach = Literal["found", "not reached", "lost"]


@register("whitened", papers=(KEY_VALUE,), baselines=("cosine",), task="cognition")
@dataclass(frozen=True, slots=True)
class Whitened:
    """Rank by the cosine of whitened keys: k = (C + s I)^(-1/2) (v - mean), C the covariance of the space's vectors.

    Memories of one space resemble each other, and the vector of the content is a poor address: it is near to all of
    them. Whitening takes out what they share. `shrink` keeps directions that few memories span from being blown up: s is
    `shrink` times the mean variance. The paper asks for separate keys and leaves the key open; these are the least that can
    be learned without labels.

    Cost: the covariance, O(N D^2), in each search: 30 ms for 6,000 vectors of 384 numbers on one core.
    """

    shrink: float = 1.0  # share of the mean variance that is added to each direction; large: only centred

    uses_vector: ClassVar[bool] = True

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 where the question or a cube has no vector."""
        vectors = view.corpus.vectors
        known = vectors.present & view.corpus.alive
        if query.vector is None or np.count_nonzero(known) < 2:
            return Cosine().rank(view, query)
        keys, asked = whiten(vectors.rows[known], np.asarray(query.vector, np.float32)[None, :], self.shrink)
        found = np.zeros(len(view.corpus), np.float32)
        found[known] = keys @ asked[0]
        scores = view.visible(found)
        return Ranking(scores, lambda positions: [{"whitened": float(scores[i])} for i in positions])


def whiten(values: Floats, cues: Floats, shrink: float) -> tuple[Floats, Floats]:
    """Return the keys of values (N, D) and those of cues (M, D), all of unit length."""
    mean = values.mean(axis=0)
    away = values - mean
    variance, axes = np.linalg.eigh(away.T @ away / len(values))
    variance = np.maximum(variance, 0)
    scale = 1 / np.sqrt(variance + shrink * variance.mean() + 1e-12)
    return _unit(away @ axes * scale), _unit((cues - mean) @ axes * scale)


def separate(rows: Floats, width: int, active: int, seed: int = 0) -> Floats:
    """Return pattern-separated codes, (N, width): a random projection of which the `active` largest are 1, of unit length.

    The expansion of the dentate gyrus: similar inputs share fewer active units than they share direction.
    """
    drive = rows @ np.random.default_rng(seed).normal(size=(rows.shape[1], width)).astype(np.float32)
    code = np.zeros_like(drive)
    np.put_along_axis(code, np.argpartition(-drive, active - 1, axis=1)[:, :active], 1.0, axis=1)
    return _unit(code)


def reach(ranks: Mapping[str, Sequence[int | None]], k: int = 10) -> dict[str, Reach]:
    """Say of each memory whether it is found, stored but not reached, or lost.

    `ranks` are the places at which its cues, the one given first, found it (from 0); None: not at all. Found: the first
    cue does within `k`. Not reached: only a better cue does, so that it is a failure of retrieval, not of storage. Lost:
    none does.
    """
    found: dict[str, Reach] = {}
    for name, places in ranks.items():
        hits = [place is not None and place < k for place in places]
        found[name] = "found" if hits[:1] == [True] else "not reached" if any(hits) else "lost"
    return found


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)
