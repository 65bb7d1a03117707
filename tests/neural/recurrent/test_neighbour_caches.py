"""Caches of neighbours against the graph itself."""

import random

import pytest
import torch

from mnemos.bench.neural.recurrence import graphs
from mnemos.errors import InvalidInput
from mnemos.neural.recurrent.neighbour_caches import NeighbourhoodCaches


def test_roomy_caches_hold_exactly_the_neighbours_and_what_two_nodes_share():
    rng, nodes = random.Random(0), 12
    caches = NeighbourhoodCaches(nodes, (512, 512), span=1e9)
    one, two = [set() for _ in range(nodes)], [set() for _ in range(nodes)]
    for time in range(25):
        u, v = rng.sample(range(nodes), 2)
        caches.update(u, v, time)
        before = [set(one[u]), set(one[v])]
        one[u].add(v)
        one[v].add(u)
        two[u] |= before[1] - {u}
        two[v] |= before[0] - {v}
    for u in range(nodes):
        for table, wanted in zip(caches.ids, (one[u], two[u]), strict=True):
            assert set(table[u].tolist()) - {-1} == wanted
    pairs = [rng.sample(range(nodes), 2) for _ in range(30)]
    found = caches.joint([u for u, _ in pairs], [v for _, v in pairs], 25.0)
    for (u, v), counts in zip(pairs, found, strict=True):
        around = [[{node}, one[node], two[node]] for node in (u, v)]
        torch.testing.assert_close(counts, torch.tensor([float(len(a & b)) for a in around[0] for b in around[1]]))


def test_small_caches_keep_what_came_last_and_never_grow():
    caches = NeighbourhoodCaches(100, (4, 4), replace=1.0)
    size = caches.nbytes()
    for time, other in enumerate(range(1, 100)):
        caches.update(0, other, time)
    assert caches.nbytes() == size
    assert 99 in caches.ids[0][0].tolist()
    keeping = NeighbourhoodCaches(100, (4, 4), replace=0.0)
    for other in range(1, 100):
        keeping.update(0, other, 0)
    assert max(keeping.ids[0][0].tolist()) < 60  # whoever came first stays
    with pytest.raises(InvalidInput, match="give two"):
        caches.update(0, 100, 1.0)


def test_average_precision_is_that_of_its_definition():
    scores, real = torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert graphs.precision(scores, real) == pytest.approx((1 + 2 / 3) / 2)
