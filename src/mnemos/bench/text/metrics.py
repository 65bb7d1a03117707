"""Retrieval metrics with binary relevance: pure functions of one ranking and its gold ids.

A ranking is the retrieved ids, best first; gold is the set of ids that answer the question. With an empty gold set
`recall_all` is 1 (as in LongMemEval's own code: nothing was missed) and every other metric is 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

CUTOFFS = (5, 10, 50)


def hits(ranking: Sequence[str], gold: Collection[str], k: int) -> int:
    """Return how many gold ids are among the first `k`; an id ranked twice counts once. O(k)."""
    return len(set(ranking[:k]) & set(gold))


def recall_any(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return 1 when at least one gold id is among the first `k`, else 0."""
    return float(hits(ranking, gold, k) > 0)


def recall_all(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return 1 when every gold id is among the first `k`, else 0."""
    return float(hits(ranking, gold, k) == len(set(gold)))


def fraction(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return the share of the gold ids that are among the first `k` (recall@k in the usual sense)."""
    return hits(ranking, gold, k) / len(set(gold)) if gold else 0.0


def ndcg(ranking: Sequence[str], gold: Collection[str], k: int = 10) -> float:
    """Return the normalised discounted cumulative gain at `k`: gain 1/log2(rank + 1) for each gold id.

    The ideal ranks all gold ids first (as many as fit into `k`), whether they were retrieved or not.
    """
    wanted = set(gold)
    gain, seen = 0.0, set[str]()
    for rank, item in enumerate(ranking[:k], 1):
        if item in wanted and item not in seen:
            gain += 1 / math.log2(rank + 1)
            seen.add(item)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(wanted), k) + 1))
    return gain / ideal if ideal else 0.0


def reciprocal_rank(ranking: Sequence[str], gold: Collection[str]) -> float:
    """Return 1/rank of the first gold id, 0 when none was retrieved."""
    wanted = set(gold)
    return next((1 / rank for rank, item in enumerate(ranking, 1) if item in wanted), 0.0)


def score(ranking: Sequence[str], gold: Collection[str]) -> dict[str, float]:
    """Return all metrics of one ranking by name: any@k, all@k and fraction@k for each cutoff, hit@1, ndcg@10, mrr."""
    row: dict[str, float] = {}
    for k in CUTOFFS:
        row[f"any@{k}"] = recall_any(ranking, gold, k)
        row[f"all@{k}"] = recall_all(ranking, gold, k)
        row[f"fraction@{k}"] = fraction(ranking, gold, k)
    row["hit@1"] = recall_any(ranking, gold, 1)
    row["ndcg@10"] = ndcg(ranking, gold, 10)
    row["mrr"] = reciprocal_rank(ranking, gold)
    return row


def mean(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return `n` and the mean of every metric over the questions; just n = 0 for none."""
    rows = list(rows)
    if not rows:
        return {"n": 0}
    return {"n": len(rows)} | {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def mean_by(keys: Iterable[str], rows: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return `mean` of the rows of each key (their categories), keys in alphabetical order."""
    groups: defaultdict[str, list[Mapping[str, float]]] = defaultdict(list)
    for key, row in zip(keys, rows, strict=True):
        groups[key].append(row)
    return {key: mean(groups[key]) for key in sorted(groups)}


def percentile(values: Sequence[float], q: float) -> float:
    """Return the q-th percentile (0 to 100) by linear interpolation. Raises ValueError for no values."""
    if not values:
        raise ValueError("percentile() needs at least one value: nothing was measured.")
    ordered = sorted(values)
    place = (len(ordered) - 1) * q / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def latency_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Return n, p50 and p95 of durations in seconds, in milliseconds."""
    return {
        "n": len(seconds),
        "p50_ms": round(percentile(seconds, 50) * 1e3, 3),
        "p95_ms": round(percentile(seconds, 95) * 1e3, 3),
    }
