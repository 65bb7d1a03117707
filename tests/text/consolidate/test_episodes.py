"""Cutting a stream into episodes: planted shifts of topic, and streams of odd sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mnemos.text.consolidate.episodes import Episodes, best_split


def stream(rng, topics=12, dimension=64, noise=1.8, shortest=5, longest=18):
    """Turns of one topic after the other; returns (vectors, times, where topics begin)."""
    rows, cuts = [], []
    for topic in range(topics):
        centre = rng.normal(size=dimension)
        centre /= np.linalg.norm(centre)
        if topic:
            cuts.append(len(rows))
        rows += [
            centre + rng.normal(size=dimension) * noise / np.sqrt(dimension)
            for _ in range(rng.integers(shortest, longest))
        ]
    return np.array(rows), np.arange(len(rows)) * 30.0, cuts


def f1(found, wanted, near=1):
    """F1 of cuts, each counting when it is within `near` turns of one that is wanted and not yet found."""
    left = list(wanted)
    hits = 0
    for cut in found:
        match = min(left, key=lambda c: abs(c - cut), default=None)
        if match is not None and abs(match - cut) <= near:
            left.remove(match)
            hits += 1
    return 2 * hits / max(len(found) + len(wanted), 1)


def starts(pieces):
    return [a for a, _ in pieces[1:]]


def compare(near):
    rng = np.random.default_rng(11)
    rows = []
    for _ in range(30):
        vectors, times, cuts = stream(rng)
        refined = starts(Episodes().cut(vectors, times))
        plain = starts(Episodes(refine=False).cut(vectors, times))
        size = len(vectors) / (len(cuts) + 1)
        blocks = [round(size * n) for n in range(1, len(cuts) + 1)]
        rows.append([f1(c, cuts, near) for c in (refined, plain, blocks)])
    return np.mean(rows, axis=0)


@pytest.mark.parametrize("near", [0, 1])
def test_cuts_where_topics_turn_better_than_blocks_and_than_surprise_alone(near):
    refined, plain, blocks = compare(near)
    assert refined > blocks + 0.3
    assert refined > plain + 0.03


def test_a_clear_turn_is_found_exactly():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 32))
    vectors = np.concatenate([a + rng.normal(size=(12, 32)) * 0.3, b + rng.normal(size=(9, 32)) * 0.3])
    assert Episodes().cut(vectors, np.arange(21.0)) == [(0, 12), (12, 21)]


def test_a_long_gap_always_cuts():
    vectors = np.ones((10, 4))
    times = np.arange(10.0)
    times[4:] += 7 * 3600
    times[5:] += 7 * 3600
    assert Episodes().cut(vectors, times) == [(0, 4), (4, 5), (5, 10)]
    assert Episodes(gap=8 * 3600).cut(vectors, times) == [(0, 10)]


def test_none_is_longer_than_allowed():
    pieces = Episodes(longest=10, shortest=3).cut(np.ones((57, 4)), np.zeros(57))
    assert all(3 <= b - a <= 10 for a, b in pieces)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == 57


def naive_split(rows, shortest):
    """Modularity of every split, by loops."""
    graph = np.maximum(rows @ rows.T, 0)
    np.fill_diagonal(graph, 0)
    n, total = len(rows), graph.sum()
    quality = {}
    for place in range(shortest, n - shortest + 1):
        side = np.arange(n) < place
        quality[place] = (
            sum(
                graph[i, j] - graph[i].sum() * graph[j].sum() / total
                for i in range(n)
                for j in range(n)
                if side[i] == side[j]
            )
            / total
        )
    return quality


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(4, 16), st.integers(1, 3))
def test_the_split_has_the_highest_modularity(seed, length, shortest):
    rows = np.random.default_rng(seed).normal(size=(length, 5))
    place = best_split(rows, shortest, length // 2)
    quality = naive_split(rows, shortest)
    if quality:
        assert quality[place] == pytest.approx(max(quality.values()), abs=1e-9, nan_ok=True)
    else:
        assert place == length // 2


turns = st.integers(0, 70).flatmap(
    lambda n: st.tuples(
        arrays(np.float32, (n, 3), elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0])),
        arrays(np.float64, (n,), elements=st.sampled_from([0.0, 10.0, 90_000.0])),
    )
)


@settings(deadline=None, max_examples=150)
@given(turns, st.integers(1, 5), st.integers(0, 20), st.booleans())
def test_every_turn_is_in_one_episode_and_lengths_are_kept(given_turns, shortest, more, refine):
    vectors, steps = given_turns
    times = np.cumsum(steps)
    maker = Episodes(shortest=shortest, longest=2 * shortest + more, refine=refine)
    pieces = maker.cut(vectors, times)
    assert [t for a, b in pieces for t in range(a, b)] == list(range(len(vectors)))
    assert all(0 < b - a <= maker.longest for a, b in pieces)
    for a, b in pieces:
        gap_before = a == 0 or times[a] - times[a - 1] >= maker.gap
        gap_after = b == len(vectors) or times[b] - times[b - 1] >= maker.gap
        assert b - a >= shortest or gap_before or gap_after
    cuts = {a for a, _ in pieces}
    assert all(i in cuts for i in range(1, len(vectors)) if times[i] - times[i - 1] >= maker.gap)
    assert maker.cut(vectors, times) == pieces


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_turns_are_one_episode(count):
    assert Episodes().cut(np.ones((count, 4)), np.zeros(count)) == ([(0, count)] if count else [])
