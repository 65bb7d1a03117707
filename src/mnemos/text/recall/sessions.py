"""Ranking of sessions, from the scores and signals of their turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import register
from mnemos.text.base import SessionRanking
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.signals import Signals

SESSION_SIGNALS = (
    "best", "top", "mass", "session_bm25", "session_best_bm25", "session_cosine", "session_best_cosine", "time",
)  # fmt: skip
TURNS = 3  # the best turns that `top` averages over


@register("sessions")
def session_signals(corpus: Corpus, scores: NDArray[np.float32], found: Signals) -> tuple[Signals, NDArray[np.int32]]:
    """Rank sessions by the scores of their best turns and by the session as a whole (ours).

    Returns the signals of each session that has cubes, name to (S,), and the position of its best cube, (S,). `scores`
    (N,) are those of the cubes, -inf where one is not shown; `found` the signals they were fused from. `best` is the
    highest score, `top` the mean of the three highest, and `mass` the log of the sum of their exponentials, by which
    many fair turns count as much as one good one. Cost: O(N log N).
    """
    layout = corpus.layout()
    inside = layout.session[layout.by_session]
    ranked = layout.by_session[np.lexsort((-scores[layout.by_session], inside))]
    starts, sizes = layout.session_starts, layout.session_sizes
    best = ranked[starts]
    values = {"best": scores[best]}
    if found:
        low = np.float32(-1e9)
        padded = np.maximum(scores[ranked], low)
        near = [np.where(sizes > i, padded[np.minimum(starts + i, len(ranked) - 1)], low) for i in range(TURNS)]
        seen = [np.where(v > low, v, 0) for v in near]
        count = np.maximum(sum((v > low).astype(np.float32) for v in near), 1)
        values["top"] = (sum(seen) / count).astype(np.float32)
        peak = np.maximum(values["best"], low)
        shares = np.exp(np.maximum(padded - np.repeat(peak, sizes), -80))
        values["mass"] = (peak + np.log(np.maximum(np.add.reduceat(shares, starts), 1e-30))).astype(np.float32)
        for name in ("session_bm25", "session_best_bm25", "session_cosine", "session_best_cosine"):
            if name in found:
                values[name] = found[name][best]
        values["time"] = found["time"][best] if "time" in found else np.zeros_like(values["best"])
    return values, best.astype(np.int32)


def best_cubes(corpus: Corpus, scores: NDArray[np.float32]) -> SessionRanking:
    """Rank sessions by their best cube alone; `scores` (N,) are the cubes', -inf where one is not shown."""
    of_sessions, best = session_signals(corpus, scores, {})
    totals = of_sessions["best"]
    return SessionRanking(
        totals, best, lambda sessions: [{"best": float(totals[i])} if totals[i] else {} for i in sessions]
    )
