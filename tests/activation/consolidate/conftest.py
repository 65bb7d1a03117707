"""What the tests of merging share: looks at a layer of made-up tensors, and answers of the trained model."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached
from mnemos.activation.base import LayerView
from mnemos.activation.entries import Entries


@pytest.fixture
def look():
    """Make a LayerView of random keys, values and queries: B 2, H 2, G 2, D 4."""

    def make(held: int = 12, queries: int = 12, seed: int = 0, valid=None, **more) -> LayerView:
        rng = torch.Generator().manual_seed(seed)
        keys, values = (torch.randn(2, 2, held, 4, generator=rng) for _ in range(2))
        query = torch.randn(2, 4, queries, 4, generator=rng)
        entries = Entries(keys, values, valid=valid).numbered()
        return LayerView(0, 2, query, entries, held - queries, held, 0.5, **more)

    return make


@pytest.fixture
def chosen():
    """Make a score (B 2, H 2, T) and what it keeps, in order."""

    def make(held: int = 12, count: int = 5, seed: int = 7):
        score = torch.rand(2, 2, held, generator=torch.Generator().manual_seed(seed))
        return score.topk(count, dim=2).indices.sort(2).values, score

    return make


@pytest.fixture
def answered():
    """Return the share of a task's questions that a model answers with a method's cache."""
    from mnemos.bench.kv.baseline import accuracy

    def share(model, method, task) -> float:
        with attached(model):
            return accuracy(model, task, lambda: MemoryCache(model, method))

    return share
