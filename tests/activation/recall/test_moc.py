"""A router over chunks: what a mask over the whole text hides is what the store does not fetch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import DynamicCache

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.recall.moc import MoC, routed
from mnemos.activation.recall.tiers import Tiers
from mnemos.errors import InvalidInput

ROUTER = MoC(size=4, top=2, local=4, sinks=4, tiers=Tiers(4))


@pytest.fixture(scope="module")
def model(make_llama):
    return make_llama(layers=2)


@pytest.fixture(scope="module")
def ids(ids):
    return ids[:, :37]


def test_each_query_sees_anchors_and_its_best_chunks():
    query, keys = torch.randn(1, 2, 30, 8), torch.randn(1, 1, 30, 8)
    mask = ROUTER.mask(query, keys)[0, 0]
    for t in range(30):
        window = 4 + max((t - 8) // 4, 0) * 4
        worth = {
            c: float((query[0, :, t] @ keys[0, 0, 4 * c : 4 * c + 4].mean(0)).sum()) for c in range(1, window // 4)
        }
        best = sorted(worth, key=lambda c: -worth[c])[:2]
        expected = {s for s in range(t + 1) if s < 4 or s >= window or s // 4 in best}
        assert set(mask[t].nonzero()[:, 0].tolist()) == expected


@torch.no_grad()
def test_the_store_fetches_what_the_mask_shows(model, ids):
    with routed(model, ROUTER):
        expected = model(ids, use_cache=False).logits
    cache = MemoryCache(model, CacheMethod(store=ROUTER))
    with attached(model):
        found = model(ids, past_key_values=cache).logits
    assert (found - expected).abs().max() <= 1e-4
    with pytest.raises(AssertionError):
        assert (found - model(ids).logits).abs().max() <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("size", [4, 16])
def test_chunks_that_end_at_tokens_are_those_of_the_store(model, ids, size):
    router = MoC(size=size, top=2, local=5, sinks=3, tiers=Tiers(4), ends=(7, 11, 20, 33, 40))
    text = ids[:1].clone()
    text[:, [6, 9, 17, 18, 27]] = 11
    chunks = router.chunks(text, (1, 37), "cpu")[0]
    ended = torch.isin(text[0], torch.tensor(router.ends))
    assert chunks[:3].tolist() == [-1] * 3
    for t in range(4, 37):
        full = int((chunks[:t] == chunks[t - 1]).sum()) == size
        assert bool(chunks[t] > chunks[t - 1]) == (bool(ended[t - 1]) or full)
    with routed(model, router):
        expected = model(text, use_cache=False).logits
    cache = MemoryCache(model, CacheMethod(store=router))
    with attached(model):
        found = model(text, past_key_values=cache).logits
    assert (found - expected).abs().max() <= 1e-4


def test_top_falls_in_the_first_half_of_a_training():
    tops = [ROUTER.at_step(step, 100, 10).top for step in range(0, 101, 10)]
    assert tops == [10, 8, 7, 5, 4, 2, 2, 2, 2, 2, 2]
    assert ROUTER.at_step(0, 100, 1).top == ROUTER.top


@torch.no_grad()
def test_a_later_token_never_changes_an_earlier_one(model, ids):
    changed = ids.clone()
    changed[:, -1] = 5
    with routed(model, ROUTER):
        one, other = (model(x, use_cache=False).logits for x in (ids, changed))
    assert torch.equal(one[:, :-1], other[:, :-1])


def test_gradients_reach_the_keys_that_were_chosen(model, ids):
    embeds = model.model.embed_tokens(ids).detach().requires_grad_()
    with routed(model, ROUTER):
        model(inputs_embeds=embeds, use_cache=False).logits[:, -1].sum().backward()
    assert embeds.grad.abs().sum(-1).gt(0).any(1).all()
    assert model.config._attn_implementation != "mnemos-moc"


def test_windows_that_cut_chunks_are_refused(model, ids):
    with pytest.raises(InvalidInput, match="whole chunks"):
        MoC(size=8, local=12)
    cache = DynamicCache()
    cache.update(torch.zeros(2, 2, 5, 16), torch.zeros(2, 2, 5, 16), 0)
    with pytest.raises(InvalidInput, match="whole texts"), routed(model, ROUTER):
        model(ids[:, :3], past_key_values=cache)
