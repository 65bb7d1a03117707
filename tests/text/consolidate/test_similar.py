"""Links by a mixture of two Gaussians: against plain EM by loops, and on planted clusters."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.store.values import IndexRow
from mnemos.text.consolidate.similar import LEAST_VARIANCE, SimilarLinks, fit
from mnemos.text.recall.corpus import Corpus


def naive(values, steps):
    """EM for two Gaussians over one list, by loops; returns (means, variances, shares), the lower mean first."""
    middle, n = (min(values) + max(values)) / 2, len(values)
    overall = sum(values) / n
    variance = max(sum((v - overall) ** 2 for v in values) / n, LEAST_VARIANCE)
    parts = [(0.0, 1.0) if v >= middle else (1.0, 0.0) for v in values]
    means, variances, shares = moments(values, parts, overall)
    variances = [variance, variance]
    for _ in range(steps):
        parts = []
        for v in values:
            dense = [
                shares[c] * math.exp(-((v - means[c]) ** 2) / (2 * variances[c])) / math.sqrt(variances[c])
                for c in (0, 1)
            ]
            parts.append(tuple(d / sum(dense) for d in dense))
        means, variances, shares = moments(values, parts, overall)
    order = sorted((0, 1), key=lambda c: means[c])
    return [means[c] for c in order], [variances[c] for c in order], [shares[c] for c in order]


def moments(values, parts, overall):
    means, variances, shares = [], [], []
    for c in (0, 1):
        mass = sum(p[c] for p in parts)
        mean = sum(v * p[c] for v, p in zip(values, parts, strict=True)) / mass if mass > 1e-9 else overall
        square = sum((v - mean) ** 2 * p[c] for v, p in zip(values, parts, strict=True)) / max(mass, 1e-12)
        means.append(mean)
        variances.append(max(square, LEAST_VARIANCE))
        shares.append(mass / len(values))
    return means, variances, shares


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(5, 40))
def test_the_mixture_is_that_of_plain_loops(seed, n):
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.normal(0.2, 0.1, (4, n)), rng.normal(0.7, 0.08, (4, 5))], axis=1)
    fitted = fit(rows, np.ones(rows.shape, bool), 8)
    for row, mean, variance, share in zip(rows, fitted.mean, fitted.variance, fitted.share, strict=True):
        means, variances, shares = naive(row.tolist(), 8)
        assert mean == pytest.approx(means, abs=1e-7)
        assert variance == pytest.approx(variances, abs=1e-7)
        assert share == pytest.approx(shares, abs=1e-7)


def test_what_is_not_there_does_not_count():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 0.2, (1, 30))
    there = np.ones((1, 30), bool)
    there[0, 20:] = False
    part, alone = fit(values, there, 10), fit(values[:, :20], there[:, :20], 10)
    assert part.mean == pytest.approx(alone.mean)
    assert not part.high[0, 20:].any()


def clusters(rng, spreads, size=12, dimension=48, strangers=150):
    """Unit vectors of clusters, each of its own tightness, and strangers; returns (vectors, cluster or -1)."""
    rows, labels = [], []
    for n, spread in enumerate(spreads):
        centre = rng.normal(size=dimension)
        rows += [
            centre / np.linalg.norm(centre) + rng.normal(size=dimension) * spread / np.sqrt(dimension)
            for _ in range(size)
        ]
        labels += [n] * size
    rows += list(rng.normal(size=(strangers, dimension)))
    labels += [-1] * strangers
    vectors = np.array(rows)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.array(labels)


def f1(i, j, labels, most):
    """F1 of directed links against those of each cluster, of which a cube can have `most`."""
    right = (labels[i] == labels[j]) & (labels[i] >= 0)
    wanted = sum(min(most, int((labels == c).sum()) - 1) * int((labels == c).sum()) for c in set(labels) - {-1})
    precision, recall = right.sum() / max(len(i), 1), right.sum() / wanted
    return 2 * precision * recall / max(precision + recall, 1e-9)


def test_links_join_members_of_one_cluster_better_than_a_threshold():
    rng = np.random.default_rng(3)
    vectors, labels = clusters(rng, [0.3, 0.5, 0.8, 1.0, 1.2])
    own = np.flatnonzero(labels >= 0)
    maker = SimilarLinks()
    i, j, weight = maker.link(vectors[own], vectors, own)
    mixture = f1(own[i], j, labels, maker.most)
    cosines = vectors[own] @ vectors.T
    cosines[np.arange(len(own)), own] = -1
    fixed = {}
    for threshold in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        rank = np.argsort(-cosines, axis=1)[:, : maker.most]
        a, b = np.nonzero(np.take_along_axis(cosines, rank, 1) >= threshold)
        fixed[threshold] = f1(own[a], rank[a, b], labels, maker.most)
    assert mixture > 0.9
    assert mixture > np.mean(list(fixed.values())) + 0.1  # nobody knows the right threshold of a space beforehand
    assert (weight >= maker.floor).all()
    assert np.bincount(i).max() <= maker.most
    assert (own[i] != j).all()


def test_the_result_does_not_depend_on_the_blocks_and_is_ordered():
    rng = np.random.default_rng(4)
    vectors, _ = clusters(rng, [0.4] * 30)
    every = SimilarLinks().link(vectors, vectors, np.arange(len(vectors)))
    alone = SimilarLinks().link(vectors[300:301], vectors, np.array([300]))
    mine = every[0] == 300
    assert every[1][mine].tolist() == alone[1].tolist()
    assert every[2][mine] == pytest.approx(alone[2], abs=1e-6)
    assert (np.diff(every[0]) >= 0).all()
    assert (np.diff(every[2][mine]) <= 0).all()


@pytest.mark.parametrize(
    ("new", "every"),
    [
        (np.zeros((0, 4)), np.zeros((0, 4))),
        (np.zeros((0, 4)), np.eye(4)),
        (np.ones((2, 4)), np.zeros((0, 4))),
        (np.zeros((2, 4)), np.eye(4)),
        (np.ones((1, 4)), np.zeros((3, 4))),
    ],
)
def test_nothing_to_compare_links_nothing(new, every):
    i, j, weight = SimilarLinks().link(new, every)
    assert len(i) == len(j) == len(weight) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 50])
def test_equal_vectors_are_alike_and_none_is_linked_to_itself(count):
    same = np.ones((count, 8))
    i, j, weight = SimilarLinks().link(same, same, np.arange(count))
    assert np.bincount(i, minlength=count).tolist() == [min(count - 1, 8)] * count
    assert (i != j).all()
    assert weight == pytest.approx(np.ones(len(i)), abs=1e-6)


def test_unlike_vectors_are_not_linked():
    assert len(SimilarLinks().link(np.eye(20), np.eye(20), np.arange(20))[0]) == 0


def corpus_of(vectors, kinds=None):
    corpus = Corpus()
    kinds = kinds or ["turn"] * len(vectors)
    corpus.add(
        [
            IndexRow(10 * n, None, None, None, k, n, "x", ("x",), None if v is None else np.asarray(v, np.float16), ())
            for n, (v, k) in enumerate(zip(vectors, kinds, strict=True), 1)
        ]
    )
    return corpus


def test_new_cubes_are_linked_each_pair_once():
    rng = np.random.default_rng(6)
    vectors, labels = clusters(rng, [0.3, 0.3], strangers=60)
    corpus = corpus_of(list(vectors))
    new, pairs = SimilarLinks().link_new(corpus, 0)
    assert new.tolist() == list(range(len(vectors)))
    assert len({(a, b) for a, b, _ in pairs}) == len(pairs)
    assert all(a < b for a, b, _ in pairs)
    inside = [(a, b) for a, b, _ in pairs if labels[a] >= 0 or labels[b] >= 0]
    assert np.mean([labels[a] == labels[b] for a, b in inside]) > 0.9


def test_only_cubes_after_the_key_are_looked_at_and_at_most_so_many():
    corpus = corpus_of([np.ones(4)] * 6)
    new, pairs = SimilarLinks(batch=2).link_new(corpus, 20)
    assert new.tolist() == [2, 3]
    assert {2, 3} & {a for a, *_ in pairs}
    assert all({a, b} & {2, 3} for a, b, _ in pairs)


def test_dead_and_derived_cubes_and_those_without_vector_are_not_linked():
    corpus = corpus_of([np.ones(4), np.ones(4), None, np.ones(4), np.ones(4)], ["turn"] * 4 + ["summary"])
    corpus.remove([20])
    new, pairs = SimilarLinks().link_new(corpus, 0)
    assert new.tolist() == [0, 2, 3]
    assert [(a, b) for a, b, _ in pairs] == [(0, 3)]
    assert SimilarLinks().link_new(Corpus(), 0)[1] == []
