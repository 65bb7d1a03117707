"""Retrieval metrics against hand values, brute force and closed forms."""

from itertools import permutations
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.bench.text import metrics

IDS = list("abcdefgh")
rankings = st.permutations(IDS).flatmap(lambda r: st.integers(0, len(r)).map(lambda n: list(r)[:n]))
golds = st.sets(st.sampled_from([*IDS, "x", "y"]), min_size=1)
cutoffs = st.integers(1, 10)


def test_hand_values():
    ranking, gold = ["b", "a", "z", "c"], {"a", "c", "q"}
    assert [metrics.recall_any(ranking, gold, k) for k in (1, 2, 4)] == [0.0, 1.0, 1.0]
    assert [metrics.fraction(ranking, gold, k) for k in (1, 2, 4)] == [0.0, 1 / 3, 2 / 3]
    assert metrics.recall_all(ranking, gold, 4) == 0.0
    assert metrics.recall_all(ranking, {"a", "c"}, 4) == 1.0
    assert metrics.recall_all(ranking, {"a", "c"}, 3) == 0.0
    assert metrics.reciprocal_rank(ranking, gold) == 1 / 2
    assert metrics.reciprocal_rank(ranking, {"c"}) == 1 / 4
    assert metrics.reciprocal_rank(ranking, {"q"}) == 0.0
    expected = (1 / log2(3) + 1 / log2(5)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4))
    assert metrics.ndcg(ranking, gold) == pytest.approx(expected)


def test_one_gold_at_rank_r_has_ndcg_one_over_log2_r_plus_1():
    for rank in range(1, 11):
        ranking = [f"n{i}" for i in range(1, rank)] + ["gold"]
        assert metrics.ndcg(ranking, {"gold"}) == pytest.approx(1 / log2(rank + 1))
        assert metrics.reciprocal_rank(ranking, {"gold"}) == 1 / rank
    assert metrics.ndcg([f"n{i}" for i in range(10)] + ["gold"], {"gold"}, k=10) == 0.0


def test_the_ideal_counts_gold_that_was_not_retrieved():
    """LongMemEval's own code normalises by what was retrieved, which would give 1 here."""
    assert metrics.ndcg(["a"], {"a", "b", "c"}) < 0.5


def test_a_repeated_id_counts_once():
    assert metrics.fraction(["a", "a", "b"], {"a", "b"}, 2) == 0.5
    assert metrics.ndcg(["a", "a", "a"], {"a"}) == 1.0


def test_empty_gold_is_vacuous_for_all_and_zero_for_the_rest():
    row = metrics.score(["a", "b"], ())
    assert {name: value for name, value in row.items() if value} == {"all@5": 1.0, "all@10": 1.0, "all@50": 1.0}


@given(rankings, golds, cutoffs)
def test_recalls_against_brute_force(ranking, gold, k):
    found = [item for item in gold if item in ranking[:k]]
    assert metrics.recall_any(ranking, gold, k) == float(len(found) >= 1)
    assert metrics.recall_all(ranking, gold, k) == float(len(found) == len(gold))
    assert metrics.fraction(ranking, gold, k) == len(found) / len(gold)


@given(st.permutations(list("abcde")), st.sets(st.sampled_from("abcde"), min_size=1), st.integers(1, 5))
def test_ndcg_is_the_share_of_the_best_order_of_all(ranking, gold, k):
    def gain(order):
        return sum((item in gold) / log2(rank + 2) for rank, item in enumerate(order[:k]))

    best = max(gain(order) for order in permutations("abcde"))
    assert metrics.ndcg(ranking, gold, k) == pytest.approx(gain(ranking) / best)


@given(rankings, golds)
def test_score_is_bounded_and_consistent(ranking, gold):
    row = metrics.score(ranking, gold)
    assert all(0.0 <= value <= 1.0 for value in row.values())
    for k in metrics.CUTOFFS:
        assert row[f"all@{k}"] <= row[f"fraction@{k}"] <= row[f"any@{k}"]
    assert row["fraction@5"] <= row["fraction@10"] <= row["fraction@50"]
    assert row["hit@1"] <= row["mrr"]


def test_means_overall_and_by_category():
    rows = [{"m": 1.0}, {"m": 0.0}, {"m": 0.5}]
    assert metrics.mean(rows) == {"n": 3, "m": 0.5}
    assert metrics.mean([]) == {"n": 0}
    assert metrics.mean_by(["b", "a", "b"], rows) == {"a": {"n": 1, "m": 0.0}, "b": {"n": 2, "m": 0.75}}


@given(st.lists(st.floats(0, 1e3), min_size=1), st.floats(0, 100))
def test_percentile_against_numpy(values, q):
    import numpy as np

    assert metrics.percentile(values, q) == pytest.approx(float(np.percentile(values, q)), abs=1e-6)


def test_latency_is_in_milliseconds():
    assert metrics.latency_ms([0.001, 0.002, 0.003]) == {"n": 3, "p50_ms": 2.0, "p95_ms": 2.9}
    with pytest.raises(ValueError, match="nothing was measured"):
        metrics.latency_ms([])
