"""A padded row keeps the entries that the row alone would keep."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.knorm import KeyNorm
from mnemos.activation.forget.lagkv import LagKV
from mnemos.activation.forget.lazy import LazyEviction
from mnemos.activation.forget.lra import Lra
from mnemos.activation.forget.pairdiff import PairDiff
from mnemos.activation.forget.scissorhands import Scissorhands
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.forget.tova import Tova
from mnemos.errors import InvalidInput

SCORES = [
    H2O(),
    H2O(mean=True),
    KeyDiff(),
    KeyNorm(),
    LazyEviction(None),
    Lra(),
    PairDiff(),
    Scissorhands(6),
    SnapKV(),
    Tova(),
]


def kept(llama, ids, method, mask=None):
    cache = MemoryCache(llama, method)
    with torch.no_grad(), attached(llama):
        for part in (slice(0, 30), slice(30, 31), slice(31, 32)):
            more = {}
            if mask is not None:
                more = {
                    "attention_mask": mask[:, : part.stop],
                    "position_ids": (mask.cumsum(1) - 1).clamp(min=0)[:, part],
                }
            llama(ids[:, part], past_key_values=cache, **more)
    return [layer.groups[0].store.entries.positions() for layer in cache.layers]


@pytest.mark.parametrize("score", SCORES, ids=repr)
def test_a_padded_row_keeps_what_it_would_alone(llama, ids, score):
    mask = torch.ones(2, 32, dtype=torch.long)
    mask[0, :10] = 0
    method = CacheMethod(score, prompt=12, decode=11)
    both = kept(llama, ids, method, mask)
    cache = MemoryCache(llama, method)
    with torch.no_grad(), attached(llama):
        for part in (slice(10, 30), slice(30, 31), slice(31, 32)):
            llama(ids[:1, part], past_key_values=cache)
    for layer, found in zip(cache.layers, both, strict=True):
        assert torch.equal(found[:1] - 10, layer.groups[0].store.entries.positions())


def test_lagkv_refuses_padding(look):
    view = look()
    view.entries.valid = torch.ones(2, 2, 12, dtype=torch.bool)
    with pytest.raises(InvalidInput, match="partitions"):
        LagKV()(view)
