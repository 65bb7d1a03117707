"""Scores that know no question: a second reading of the context, and queries that are expected."""

from __future__ import annotations

import pytest
import torch

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.forget.expected import ExpectedAttention
from mnemos.activation.forget.reconstruction import Overall, Reconstruction
from mnemos.errors import InvalidInput


class Spy(Reconstruction):
    """Keeps what was remembered."""

    found: dict[int, torch.Tensor] = {}  # noqa: RUF012

    def __call__(self, view):
        self.found[view.layer] = super().__call__(view).clone()
        return self.found[view.layer]


@pytest.mark.parametrize("chunk", [7, 48])
@torch.no_grad()
def test_an_entry_counts_by_the_most_attention_a_second_reading_gives_it(make_llama, long_ids, chunk):
    model = make_llama(layers=2)
    read(model, long_ids, MemoryCache(model, CacheMethod(Spy(chunk=chunk), prompt=0.5)))
    model.set_attn_implementation("eager")
    best = [torch.zeros(2, 2, 48)] * 2
    for at in range(0, 48, chunk):  # each part alone after the whole text
        part = long_ids[:, at : at + chunk]
        seen = model(torch.cat((long_ids, part), 1), output_attentions=True).attentions
        each = [a[:, :, 48:, :48].amax(2).unflatten(1, (2, 2)).amax(2) for a in seen]
        best = [torch.maximum(*pair) for pair in zip(best, each, strict=True)]
    for layer, expected in enumerate(best):
        assert (Spy.found[layer] - expected).abs().max() < 1e-5


@torch.no_grad()
def test_the_second_reading_leaves_the_logits_and_the_entries_as_they_were(llama, long_ids):
    cache, plain = MemoryCache(llama, CacheMethod(Reconstruction(), prompt=1.0)), MemoryCache(llama)
    with attached(llama):
        found, expected = (llama(long_ids, past_key_values=one).logits for one in (cache, plain))
        assert torch.equal(found, expected)
        assert cache.tokens_read == 48
        assert torch.equal(cache.layers[1].keys, plain.layers[1].keys)


@torch.no_grad()
def test_a_cache_that_was_not_read_again_says_so(llama, long_ids):
    cache = MemoryCache(llama, CacheMethod(Reconstruction(), prompt=0.5))
    with pytest.raises(InvalidInput, match="second time"), attached(llama):  # noqa: PT012 - at the latest with the next call
        llama.base_model(long_ids, past_key_values=cache)
        llama.base_model(long_ids[:, :1], past_key_values=cache)


def test_overall_budgets_go_where_the_largest_scores_are():
    low = torch.arange(20.0).view(1, 2, 10) / 1000
    high = 1 + torch.arange(20.0).view(1, 10, 2).mT
    counts = Overall(least=0.5).counts([low, high], each=4, held=10)
    assert [c.tolist() for c in counts] == [[2, 2], [6, 6]]


@torch.no_grad()
def test_expected_attention_is_the_mean_over_queries_drawn_from_the_prompts(look):
    view = look(held=12, queries=12)

    class Still:
        def shift(self, vectors, by):
            return vectors

    view.rotary = Still
    score = ExpectedAttention(sinks=0, epsilon=0.0)
    query = view.query.unflatten(1, (view.entries.keys.shape[1], -1))
    mean = query.mean(3)
    spread = torch.einsum("bhgtd,bhgte->bhgde", query - mean[..., None, :], query - mean[..., None, :]) / 12
    rng = torch.Generator().manual_seed(0)
    root = torch.linalg.cholesky(spread + 1e-6 * torch.eye(spread.shape[-1]))
    noise = torch.randn(*mean.shape[:3], 20000, mean.shape[-1], generator=rng)
    drawn = mean[..., None, :] + noise @ root.mT
    logits = drawn @ view.entries.keys[:, :, None].mT * view.scaling
    expected = logits.exp().mean(3)
    expected = (expected / expected.sum(-1, keepdim=True)).mean(2) * view.entries.values.norm(dim=-1)
    assert (score(view) - expected).abs().max() < 0.1 * expected.max()


def test_expected_attention_needs_keys_that_can_be_turned(look):
    with pytest.raises(InvalidInput):
        ExpectedAttention()(look(held=12, queries=12))
