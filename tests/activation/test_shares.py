"""A share is one of bytes: of the model's own dtype, with positions, scales and what a score remembers in it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.tova import Tova
from mnemos.activation.presets import all_presets
from mnemos.errors import InvalidInput

PRESETS = all_presets()
PROMPT, MORE = 96, 6
SPARE = 8  # entries of a head for which there may be room behind the others
GROUP = 32  # newest entries that wait to be packed together


@pytest.fixture(scope="module")
def models():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=64, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=256, pad_token_id=0,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    state = model.state_dict()

    def of(dtype):
        other = transformers.LlamaForCausalLM(config).eval().to(dtype)
        other.load_state_dict(state)
        return other

    return {dtype: of(dtype) for dtype in (torch.float32, torch.bfloat16, torch.float16)}


def full_bytes(model, tokens):
    c = model.config
    size = torch.finfo(model.dtype).bits // 8
    return 2 * c.num_hidden_layers * c.num_key_value_heads * tokens * c.head_dim * size


@torch.no_grad()
def held(model, method, ids):
    """Bytes after the prompt, and the most after each of the tokens behind it less the share's part of them."""
    cache = MemoryCache(model, method)
    with attached(model):
        model(ids[:, :PROMPT], past_key_values=cache)
        after = [cache.nbytes]
        for at in range(PROMPT, PROMPT + MORE):
            model(ids[:, at : at + 1], past_key_values=cache)
            after.append(cache.nbytes)
    return after


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", PRESETS)
def test_a_share_is_never_exceeded(models, name, dtype):
    model = models[dtype]
    ids = torch.randint(3, 99, (1, PROMPT + MORE), generator=torch.Generator().manual_seed(1))
    method = PRESETS[name].at_share(0.25)
    first, *later = held(model, method, ids)
    assert first <= 0.25 * full_bytes(model, PROMPT)
    if PRESETS[name].phase == "decode":
        entry = full_bytes(model, 1)
        for count, now in enumerate(later, PROMPT + 1):
            assert now <= 0.25 * full_bytes(model, count) + (SPARE + GROUP) * entry


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_entries_as_a_number_are_that_many_whatever_they_take(models, dtype):
    ids = torch.randint(3, 99, (1, 60), generator=torch.Generator().manual_seed(1))
    cache = MemoryCache(models[dtype], CacheMethod(H2O(), prompt=20))
    with torch.no_grad(), attached(models[dtype]):
        models[dtype](ids, past_key_values=cache)
    assert cache.held == [[20]] * 2


@pytest.mark.parametrize("name", ["kivi", "mikv"])
def test_a_share_that_the_dtype_cannot_hold_is_refused(models, name):
    """In sixteen bits, one bit with its scales is an eighth."""
    method, ids = PRESETS[name].at_share(0.1), torch.arange(3, 80)[None]
    for dtype in (torch.float32, torch.float16):
        if dtype == torch.float32 and name != "mikv":
            MemoryCache(models[dtype], method)
            continue
        with pytest.raises(InvalidInput, match="share"), torch.no_grad(), attached(models[dtype]):
            models[dtype](ids, past_key_values=MemoryCache(models[dtype], method))


@pytest.mark.parametrize("method", [
    CacheMethod(H2O(), prompt=64, decode=64), CacheMethod(Tova(), prompt=64, decode=64, interval=7),
    CacheMethod(prompt=64, decode=64, sinks=3), CacheMethod(H2O(), prompt=40, decode=16, separate_budgets=True),
])  # fmt: skip
def test_a_budget_while_generating_is_never_exceeded_and_nearly_used(models, method):
    """Entries are evicted a block at a time, ahead: the budget is the most, not the mean."""
    model = models[torch.float32]
    ids = torch.randint(3, 99, (1, PROMPT + 60), generator=torch.Generator().manual_seed(1))
    cache, sizes = MemoryCache(model, method), []
    with torch.no_grad(), attached(model):
        model(ids[:, :PROMPT], past_key_values=cache)
        for at in range(PROMPT, PROMPT + 60):
            model(ids[:, at : at + 1], past_key_values=cache)
            sizes.append(cache.held[0][0])
    most = 64 if not method.separate_budgets else 40 + 16
    assert max(sizes) == most
    assert min(sizes[-40:]) > most - max(7, most // 4)


def test_a_window_holds_exactly_the_sinks_and_the_last_in_memory_that_does_not_grow(models):
    """The window moves along a buffer: entries are not copied for each token."""
    model = models[torch.float32]
    ids = torch.randint(3, 99, (1, PROMPT + 60), generator=torch.Generator().manual_seed(1))
    cache, places = MemoryCache(model, CacheMethod(prompt=80, decode=80, sinks=3)), set()
    with torch.no_grad(), attached(model):
        model(ids[:, :PROMPT], past_key_values=cache)
        for at in range(PROMPT, PROMPT + 60):
            model(ids[:, at : at + 1], past_key_values=cache)
            entries = cache.layers[1].groups[0].store.entries
            assert entries.position_ids[0, 0].tolist() == [0, 1, 2, *range(at - 76, at + 1)]
            assert cache.nbytes <= full_bytes(model, 80 + SPARE + 1) + 4 * 4 * (80 + SPARE + 1)
            places.add(entries.keys.untyped_storage().data_ptr())
    assert len(places) < 12


@pytest.mark.parametrize("method", [CacheMethod(prompt=256, decode=256, sinks=4), CacheMethod(H2O(), decode=256)])
def test_a_stream_of_32_thousand_tokens_holds_what_a_budget_says_at_any_time(make_llama, method):
    model = make_llama(heads=2, kv=1, layers=1, width=16)
    ids = torch.randint(3, 99, (1, 2**15), generator=torch.Generator().manual_seed(1))
    cache, most = MemoryCache(model, method), 0
    with torch.no_grad(), attached(model):
        for part in ids.split(1024, 1):
            model(part, past_key_values=cache, logits_to_keep=1)
            most = max(most, cache.nbytes)
    assert cache.tokens_read == 2**15
    assert most <= (256 + 1024 + SPARE) * (2 * 8 * 4 + 4 + 4) * 34 / 32  # a budget, a call, and the room behind
