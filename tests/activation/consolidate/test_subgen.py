"""SubGen: the estimate against loops, its clusters and samples, memory that grows with clusters, errors that fall."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.attention import attend
from mnemos.activation.consolidate.sketch import BLOCK, Draws, Sketch
from mnemos.activation.consolidate.subgen import SubGen, SubGenStore
from mnemos.activation.entries import Entries
from mnemos.errors import InvalidInput

SCALE = 0.25


def clustered(count, clusters=8, width=16, heads=1, noise=0.1):
    """Keys near a few centres, and values, (1, H, n, D); some queries (1, H, 16, D)."""
    rng = torch.Generator().manual_seed(3)
    centres = torch.randn(1, heads, clusters, width, generator=rng)
    index = torch.randint(0, clusters, (count,), generator=rng)
    keys = centres[:, :, index] + noise * torch.randn(1, heads, count, width, generator=rng)
    values = (
        torch.randn(1, heads, count, width, generator=rng)
        + torch.randn(1, heads, clusters, width, generator=rng)[:, :, index]
    )
    return keys, values, torch.randn(1, heads, 16, width, generator=rng)


def sketched(given, keys, values):
    store = SubGenStore(given, 0)
    store.put(Entries(keys, values))
    store.on_prefill_end()
    return store


def estimate(store, query, count):
    return store.finish(attend(query, store.read(query, count), count, SCALE))


def error(found, keys, values, query):
    exact = attend(query, Entries(keys, values).numbered(), keys.shape[2], SCALE)
    return float((found - exact).norm() / exact.norm())


def test_the_output_is_the_numerator_over_the_normaliser():
    keys, values, query = clustered(60, heads=2)
    store = sketched(SubGen(t=3, s=5, recent=7), keys, values)
    found, state = estimate(store, query, 60), store.sketch
    for h in range(2):
        for i in range(16):
            q = query[0, h, i] * SCALE
            z, tau = torch.zeros(16), 0.0
            for cluster, n in enumerate(state.counts[0, h].tolist()):
                tau += sum(n / 3 * math.exp(float(q @ state.keys[0, h, cluster, j])) for j in range(3) if n)
            for j in range(5):
                v = state.z_values[0, h, j]
                weight = float(state.mu[0, h]) / (5 * float(v @ v))
                z += weight * math.exp(float(q @ state.z_keys[0, h, j])) * v
            for key, value in zip(keys[0, h, -7:], values[0, h, -7:], strict=True):
                z, tau = z + math.exp(float(q @ key)) * value, tau + math.exp(float(q @ key))
            assert torch.allclose(found[0, h, i], z / tau, atol=1e-4)


def test_clusters_are_as_wide_as_delta_and_count_every_key_once():
    keys, values, _ = clustered(300)
    store = sketched(SubGen(delta=0.5, t=4, recent=20), keys, values)
    state, limit = store.sketch, 0.5 * float(keys.norm(dim=-1).mean())
    assert state.counts.shape[2] == 8
    assert int(state.counts.sum()) == 280
    assert (state.keys - state.centres[:, :, :, None]).norm(dim=-1).max() <= limit
    assert torch.cdist(state.centres[0, 0], state.centres[0, 0])[~torch.eye(8, dtype=torch.bool)].min() > limit
    assert torch.allclose(state.mu[0, 0], values[0, 0, :280].square().sum())
    own = keys[0, 0, :280]
    assert all((own - k).norm(dim=1).min() == 0 for k in state.keys[0, 0].flatten(0, 1))
    assert all((values[0, 0, :280] - v).norm(dim=1).min() == 0 for v in state.z_values[0, 0])


def test_samples_are_drawn_uniformly_from_clusters_and_by_squared_norm_from_values():
    keys = torch.zeros(1, 1, 4, 2) + torch.tensor([1.0, 0.0])
    keys[0, 0, :, 1] = torch.arange(4) * 1e-3
    values = torch.tensor([1.0, 2.0, 1.0, 2.0])[None, None, :, None].expand(1, 1, 4, 2).clone()
    values[0, 0, :, 1] = torch.arange(4.0)
    state = Sketch.empty(torch.full((1, 1), 0.5), keys, 4000, 4000)
    state.add(keys, values, torch.ones(1, 1, 4, dtype=torch.bool), None, Draws(0))
    uniform = torch.bincount((state.keys[0, 0, 0, :, 1] * 1e3).round().long(), minlength=4) / 4000
    assert (uniform - 0.25).abs().max() < 0.03
    weights = values[0, 0].square().sum(1)
    drawn = torch.bincount(state.z_values[0, 0, :, 1].long(), minlength=4) / 4000
    assert (drawn - weights / weights.sum()).abs().max() < 0.03


@pytest.mark.parametrize("most", [None, 3])
def test_adding_many_is_adding_one_after_the_other(most):
    count = BLOCK + 40
    keys, values, _ = clustered(count, heads=2, noise=0.4)
    present = torch.ones(1, 2, count, dtype=torch.bool)
    present[0, 1, 5:9] = False
    radius = 0.8 * keys.norm(dim=-1).mean(2)
    whole, each = (Sketch.empty(radius, keys, 2, 6) for _ in range(2))
    whole.add(keys, values, present, most, Draws(7))
    for i in range(count):
        part = slice(i, i + 1)
        each.add(keys[:, :, part], values[:, :, part], present[:, :, part], most, Draws(7, i))
    centres: list = []  # of the first head, by loops
    counts: list = []
    for key in keys[0, 0]:
        far = [float((key - centre).norm()) for centre in centres]
        if (not far or min(far) > radius[0, 0]) and len(centres) < (most or count):
            centres.append(key)
            counts.append(1)
        else:
            counts[far.index(min(far))] += 1
    assert torch.equal(whole.counts[0, 0, : len(counts)], torch.tensor(counts).float())
    assert torch.equal(whole.centres[0, 0, : len(counts)], torch.stack(centres))
    for name, value in vars(each).items():
        assert torch.allclose(getattr(whole, name), value, rtol=1e-5), name
    assert int(whole.counts[0, 1].sum()) == count - 4


def test_nothing_is_sampled_while_everything_fits(make_llama, long_ids):
    model = make_llama(layers=2)
    with torch.no_grad(), attached(model):
        full = model(long_ids, past_key_values=MemoryCache(model)).logits
        for method in (SubGen.at_share(1.0), CacheMethod(store=SubGen(recent=16, s=32))):
            cache = MemoryCache(model, method)
            calls = ((0, 20), (20, 21), (21, 47), (47, 48))
            parts = [model(long_ids[:, a:b], past_key_values=cache).logits for a, b in calls]
            assert (torch.cat(parts, 1) - full).abs().max() < 1e-4
            assert cache.layers[0].groups[0].store.sketch is None
        model(long_ids, past_key_values=cache)
        assert cache.layers[0].groups[0].store.sketch is None  # until the next call
        model(long_ids[:, :1], past_key_values=cache)
        assert cache.layers[0].groups[0].store.sketch.counts.sum(2).eq(96 - 16).all()


def test_memory_grows_with_the_clusters_and_not_with_the_text():
    sizes = {
        (count, clusters): sketched(SubGen(), *clustered(count, clusters)[:2]).nbytes
        for count, clusters in ((200, 4), (600, 4), (600, 12))
    }
    assert sizes[200, 4] == sizes[600, 4] < sizes[600, 12]


def test_the_error_falls_with_the_samples():
    keys, values, query = clustered(800)
    errors = []
    for t, s in ((1, 8), (2, 64), (4, 256)):
        stores = [sketched(SubGen(t=t, s=s, recent=16, seed=seed), keys, values) for seed in range(6)]
        each = [error(estimate(store, query, 800), keys, values, query) for store in stores]
        assert len(set(each)) == 6  # the seed matters
        errors.append(sum(each) / 6)
    assert errors[0] > 2 * errors[1] > 3 * errors[2]


def test_a_model_reads_and_generates_through_it(make_llama, long_ids):
    model, ids = make_llama(layers=2), long_ids
    with torch.no_grad(), attached(model):
        full = model(ids, past_key_values=MemoryCache(model)).logits
        exact = MemoryCache(model, CacheMethod(store=SubGen(recent=60)))
        parts = [model(ids[:, a:b], past_key_values=exact).logits for a, b in ((0, 40), (40, 41), (41, 48))]
        assert (torch.cat(parts, 1) - full).abs().max() < 1e-4  # everything is recent still
        small = MemoryCache(model, CacheMethod(store=SubGen(t=2, s=4, recent=6)))
        for a, b in ((0, 40), (40, 41), (41, 48)):
            logits = model(ids[:, a:b], past_key_values=small).logits
        assert torch.isfinite(logits).all()
        store = small.layers[0].groups[0].store
        assert store.sketch.counts.sum(2).eq(35).all()  # the last call's 7 are read in full, before any moves
        other = small.copy()
        other.batch_repeat_interleave(2)
        again = [
            model(ids[:, :1].repeat_interleave(n, 0), past_key_values=one).logits for n, one in ((2, other), (1, small))
        ]
    assert torch.allclose(again[0][::2], again[1], atol=1e-5)
    more = {"max_new_tokens": 8, "pad_token_id": 0, "num_beams": 2, "do_sample": False}
    with attached(model):
        cache = MemoryCache(model, SubGen.at_share(0.5))
        assert model.generate(ids, past_key_values=cache, **more).shape == (2, 56)


def test_what_cannot_be_undone_is_refused():
    keys, values, _ = clustered(30)
    store = sketched(SubGen(recent=8, s=4), keys, values)
    with pytest.raises(InvalidInput, match="decode"):
        store.replace(Entries(keys, values))
    with pytest.raises(InvalidInput, match="recent"):
        store.crop(20)
    with pytest.raises(InvalidInput):
        SubGen(t=0)
