"""Merging into the nearest: each rule against loops, what is dropped, padding, and what it does to answers."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn.functional import cosine_similarity

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.consolidate.d2o import Density, d2o
from mnemos.activation.consolidate.elastic import Elastic
from mnemos.activation.consolidate.ems import GlobalLocal
from mnemos.activation.consolidate.merge import Merge, others
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.plain import Drop
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


def naive(entries, keep, score, near="key", weigh="similarity", tau=None, evict=0.0):
    """Merge by loops; `tau` is a number for each row and head, or None."""
    keys, values = entries.keys.clone(), entries.values.clone()
    found = [torch.empty(*keep.shape, keys.shape[3]) for _ in range(2)]
    best = torch.full(keys.shape[:3], -torch.inf)
    for b in range(keys.shape[0]):
        for h in range(keys.shape[1]):
            stay = keep[b, h].tolist()
            gone = [i for i in range(len(entries)) if i not in stay]
            gone_first = sorted(gone, key=lambda i: float(score[b, h, i]))[: int(evict * len(gone))]
            into = {i: [(i, math.e if weigh == "similarity" else 1.0)] for i in stay}
            for i in gone:
                like = [float(cosine_similarity(keys[b, h, i], keys[b, h, j], dim=0)) for j in stay]
                near_to = (
                    min(stay, key=lambda j, i=i: abs(i - j)) if near == "position" else stay[like.index(max(like))]
                )
                u = like[stay.index(near_to)]
                best[b, h, i] = u
                if i not in gone_first and (tau is None or u >= tau[b][h]):
                    into[near_to].append((i, math.exp(u) if weigh == "similarity" else 1.0))
            for at, j in enumerate(stay):
                whole = sum(w for _, w in into[j])
                for one, all_ in zip(found, (keys, values), strict=True):
                    one[b, h, at] = sum(w * all_[b, h, i] for i, w in into[j]) / whole
    return (*found, best)


@pytest.mark.parametrize("options", [
    {}, {"near": "position"}, {"near": "position", "weigh": "mean"}, {"evict": 0.5}, {"threshold": 0.6},
    {"threshold": 0.3, "evict": 0.4},
])  # fmt: skip
def test_an_evicted_entry_is_folded_into_its_nearest(look, chosen, options):
    view, (keep, score) = look(), chosen()
    found = Merge(**options)(view, keep, score)
    tau = options.pop("threshold", None)
    keys, values, _ = naive(view.entries, keep, score, **options, tau=None if tau is None else [[tau] * 2] * 2)
    assert torch.allclose(found.keys, keys, atol=1e-5)
    assert torch.allclose(found.values, values, atol=1e-5)
    assert torch.equal(found.position_ids.long(), keep)


def test_the_threshold_is_an_average_over_earlier_evictions(look, chosen):
    view, (keep, score) = look(), chosen()
    merge = Merge(threshold="ema", beta=0.7)
    _, _, best = naive(view.entries, keep, score)
    gone = best.isfinite()
    tau = best.masked_fill(~gone, 0).sum(2) / gone.sum(2)
    keys, _, _ = naive(view.entries, keep, score, tau=tau)
    found = merge(view, keep, score)
    assert torch.allclose(found.keys, keys, atol=1e-5)
    assert torch.allclose(found.extra["tau"][:, :, 0], tau)
    view.entries, keep, score = found, keep[:, :, :0].new_tensor([0, 2, 3]).expand(2, 2, 3), score[:, :, :5]
    _, _, best = naive(found, keep, score)
    now = 0.7 * best.masked_fill(best.isinf(), 0).sum(2) / 2 + 0.3 * tau
    again = merge(view, keep, score)
    assert torch.allclose(again.extra["tau"][:, :, 2], now, atol=1e-6)
    assert torch.allclose(again.keys, naive(found, keep, score, tau=now)[0], atol=1e-5)


def test_padding_takes_no_part(look, chosen):
    valid = torch.ones(2, 2, 12, dtype=torch.bool)
    valid[0, :, :4] = False
    keep = torch.tensor([5, 7, 9, 10, 11]).expand(2, 2, 5)
    score = chosen()[1]
    padded, whole = (look(valid=v) for v in (valid, None))
    found = Merge()(padded, keep, score)
    alone = look()
    alone.entries = alone.entries.each(lambda t: t[:, :, 4:])
    expected = Merge()(alone, keep - 4, score[:, :, 4:])
    assert torch.allclose(found.keys[0], expected.keys[0], atol=1e-6)
    assert torch.allclose(found.keys[1], Merge()(whole, keep, score).keys[1], atol=1e-6)


def test_others_are_the_entries_that_are_not_kept(chosen):
    keep, _ = chosen()
    for row, gone in zip(keep.flatten(0, 1), others(keep, 12).flatten(0, 1), strict=True):
        assert gone.tolist() == [i for i in range(12) if i not in row.tolist()]


def test_dense_layers_get_more_of_the_budget(look):
    flat, steep = look(queries=12), look(queries=12, seed=1)
    flat.query, steep.query = flat.query * 0, steep.query * 20
    allocation = Density()
    needs = [allocation.need(view, None) for view in (steep, flat)]
    for need, view in zip(needs, (steep, flat), strict=True):
        assert torch.allclose(need, view.attention_mass().var(-1).mean())
    counts = [int(c) for c in allocation.counts(needs, 6, 12)]
    assert counts[1] > counts[0] >= 3
    assert sum(counts) == 12


def test_ems_brings_global_and_local_attention_to_one_scale(look):
    view = look()
    score = GlobalLocal(window=1)
    score.observe(view)
    all_ = view.attention_mass().sum(2) / torch.arange(12, 0, -1)
    last = view.weights(last=1).sum((2, 3))
    assert torch.allclose(score(view), last + all_ * last.mean(2, keepdim=True) / all_.mean(2, keepdim=True), atol=1e-5)


def test_elastic_averages_in_the_prompt_and_then_evicts_at_one_offset(small_model):
    ids = tasks.key_value(2, 40, 4, seed=5).context
    method = CacheMethod(Elastic(distance=3), prompt=10, decode=10, on_evict=Elastic.at_share(0.5).on_evict, sinks=1)
    dropping = CacheMethod(Elastic(distance=3), prompt=10, decode=10, on_evict=Drop(), sinks=1)
    with torch.no_grad(), attached(small_model):
        caches = [MemoryCache(small_model, one) for one in (method, dropping)]
        held = []
        for cache in caches:
            small_model(ids, past_key_values=cache)
            held.append(cache.layers[0].groups[0].store.entries)
        assert torch.equal(held[0].position_ids, held[1].position_ids)
        assert not torch.equal(held[0].values, held[1].values)
        cache, positions = caches[0], held[0].position_ids[0, 0].tolist()
        for step in range(6):
            before = cache.layers[0].groups[0].store.entries
            small_model(ids[:, step : step + 1], past_key_values=cache)
            positions = positions[:7] + positions[8:] + [40 + step]
            entries = cache.layers[0].groups[0].store.entries
            assert entries.position_ids[0, 0].tolist() == positions
            assert torch.equal(entries.values[:, :, :7], before.values[:, :, :7])


def test_invalid_settings_are_refused():
    for given in ({"near": "token"}, {"weigh": "all"}, {"evict": 2.0}, {"beta": -1.0}):
        with pytest.raises(InvalidInput):
            Merge(**given)
    with pytest.raises(InvalidInput, match="distance"):
        Elastic(distance=0)


def test_merging_answers_more_than_the_same_eviction_when_the_question_is_not_known(small_model, answered):
    task = tasks.key_value(40, 64, 8, seed=35)
    assert answered(small_model, d2o(0.2), task) > answered(small_model, H2O.at_share(0.2), task)


def test_the_zero_class_and_the_local_half_are_what_ems_needs(small_model, answered):
    task = tasks.key_value(6, 64, 8, seed=36).known()
    best = answered(small_model, GlobalLocal.at_share(0.1), task)
    assert best > answered(small_model, H2O.at_share(0.1), task)
    for other in (
        CacheMethod(GlobalLocal(), prompt=0.1, sinks=1, recent=1, on_evict=Merge(evict=0.5)),
        CacheMethod(
            GlobalLocal(use=(True, False)), prompt=0.1, sinks=1, recent=1, on_evict=GlobalLocal.at_share(0.1).on_evict
        ),
        CacheMethod(H2O(mean=True), prompt=0.1, sinks=1, recent=1, on_evict=Merge(threshold="ema")),
    ):
        assert best > answered(small_model, other, task) + 0.1
