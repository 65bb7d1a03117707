"""What every preset of activation memory promises: `pytest tests/contracts/test_cache_methods.py -k NAME` checks one.

A Llama of random weights reads 64 tokens, of which a quarter of the bytes is kept, then a few more. Where a method does not
keep a promise, a table says why; a promise that it keeps all the same fails the test.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.presets import all_presets
from mnemos.errors import InvalidInput

PRESETS = all_presets()
SHARE, PROMPT, MORE = 0.25, 64, (1, 3, 1)
PADDING = 10
OF_THE_MODEL = ("Setup", "XQuant", "Code", "Rotary")  # what stores refer to, which is not the cache's

# -- promises that methods do not keep, and why

NOT_POSITIONS = {"subgen": "reads clusters of keys and samples of values, which stand for many positions"}
NOT_ALONE = {
    "ems": "padding has a part in the means that bring its two kinds of attention to one scale",
    "kivi": "padding is rounded in groups with the rest",
    "kvmerger": "padding is merged first, and takes an entry of the budget",
    "lagkv": "refuses padding: it cuts the text into partitions",
    "mikv": "padding counts in the scale of its channels",
    "random-eviction": "draws by position, which padding moves",
    "reconstruction": "refuses padding: it reads the text again",
    "subgen": "draws by position, which padding moves",
    "transform-coding": "padding counts in what the entries vary by, and is among the first that stay",
    "windowkv": "its windows begin at the padding",
    "xquant": "refuses padding: it holds what layers read",
}
NOT_IN_CHUNKS = {
    "expected-attention": "the queries of the last chunk stand for all",
    "think": "the last 32 queries choose its channels, and only those of the last chunk are at hand",
}
NOT_BY_ROWS = {"random-eviction": "draws by row: a row that moves is drawn again"}
NOT_BACK = {
    "subgen": "what was added to the estimates since stays there: it goes back to the text, not to all exact entries"
}


def marked(broken: dict[str, str]):
    """Return the names of all presets, those that break a promise as strict failures."""
    assert broken.keys() <= PRESETS.keys()
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=broken[name], strict=True)) if name in broken else name
        for name in PRESETS
    ]


every_preset = pytest.mark.parametrize("name", PRESETS)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=128, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, pad_token_id=0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def ids():
    """Two texts in which no token comes twice: keys of one norm would tie."""
    rng = torch.Generator().manual_seed(1)
    return torch.stack([torch.randperm(96, generator=rng)[: PROMPT + sum(MORE)] + 3 for _ in range(2)])


@torch.no_grad()
def go_on(model, cache, ids, sizes=MORE, **more):
    """Read the tokens after the prompt, and return their logits."""
    found, at = [], ids.shape[1] - sum(MORE)
    with attached(model):
        for size in sizes:
            masked = {name: given[:, : at + size] for name, given in more.items()}
            found.append(model(ids[:, at : at + size], past_key_values=cache, **masked).logits)
            at += size
    return torch.cat(found, 1)


@pytest.fixture
def cache(model, ids, name):
    """The cache of a preset that has read the prompt."""
    cache = MemoryCache(model, PRESETS[name].at_share(SHARE))
    read(model, ids[:, :PROMPT], cache)
    return cache


@pytest.fixture(scope="module")
def full(model, ids):
    cache = MemoryCache(model)
    read(model, ids[:, :PROMPT], cache)
    return cache


def stores(cache):
    return [group.store for layer in cache.layers for group in layer.groups]


def positions(cache):
    return [store.read(torch.empty(0), cache.tokens_read).positions() for store in stores(cache)]


def bytes_of(thing):
    """Return the bytes of all tensors that a store of ours holds, each storage once, those of the model left out."""
    held, known, waiting = {}, set(), [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        if isinstance(one, torch.Tensor):
            held[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
        elif type(one).__module__.startswith("mnemos.activation") and type(one).__name__ not in OF_THE_MODEL:
            waiting += vars(one).values()
    return sum(held.values())


@pytest.mark.parametrize("name", marked(NOT_POSITIONS))
def test_entries_stand_in_ascending_positions_of_the_text(model, ids, cache):
    go_on(model, cache, ids)
    for found in positions(cache):
        assert (found[..., 1:] > found[..., :-1]).all()
        assert found.min() >= 0
        assert found.max() < cache.tokens_read


@every_preset
def test_it_holds_its_share_of_a_full_cache_and_the_rest_is_freed(cache, full):
    assert cache.nbytes <= 1.1 * SHARE * full.nbytes
    assert cache.nbytes >= 0.3 * SHARE * full.nbytes
    for store in stores(cache):
        assert store.nbytes == bytes_of(store)
    assert cache.nbytes == sum(store.nbytes for store in stores(cache))


@pytest.mark.parametrize("name", marked(NOT_ALONE))
def test_a_padded_row_is_the_row_alone(model, ids, name):
    """With budgets in entries: a share would count the padding."""
    method = PRESETS[name].at_share(SHARE)
    counts = {budget: 14 for budget in ("prompt", "decode") if getattr(method, budget) is not None}
    method = replace(method, **counts)
    row, mask = ids[:1], torch.ones(1, ids.shape[1], dtype=torch.long)
    mask[:, :PADDING] = 0
    at = (mask.cumsum(1) - 1).clamp(min=0)
    padded, alone = MemoryCache(model, method), MemoryCache(model, method)
    read(model, row[:, :PROMPT], padded, attention_mask=mask, position_ids=at[:, :PROMPT])
    read(model, row[:, PADDING:PROMPT], alone)
    found, first = [], PROMPT
    with torch.no_grad(), attached(model):
        for size in MORE:
            end = first + size
            found.append(
                model(
                    row[:, first:end], past_key_values=padded, attention_mask=mask[:, :end],
                    position_ids=at[:, first:end],
                ).logits
            )  # fmt: skip
            first = end
    assert (torch.cat(found, 1) - go_on(model, alone, row[:, PADDING:])).abs().max() <= 1e-4


@pytest.mark.parametrize("name", marked(NOT_IN_CHUNKS))
def test_a_prompt_in_chunks_is_the_prompt_at_once(model, ids, name, cache):
    """Methods with a budget while generating evict between chunks, so that they never hold more: they are not asked."""
    method = PRESETS[name].at_share(SHARE)
    if method.decode is not None:
        method = replace(method, decode=None)
        cache = MemoryCache(model, method)
        read(model, ids[:, :PROMPT], cache)
    parts = MemoryCache(model, method)
    read(model, ids[:, :PROMPT], parts, chunk=24)
    assert parts.held == cache.held
    assert (go_on(model, parts, ids) - go_on(model, cache, ids)).abs().max() <= 1e-4


@pytest.mark.parametrize("name", marked(NOT_BY_ROWS))
def test_rows_may_be_chosen_and_repeated_as_beams_are(model, ids, cache):
    swapped, twice = cache.copy(), cache.copy()
    swapped.reorder_cache(torch.tensor([1, 0]))
    twice.batch_repeat_interleave(2)
    one = cache.copy()
    one.batch_select_indices(torch.tensor([1]))
    expected = go_on(model, cache, ids)
    assert (go_on(model, swapped, ids.flip(0)).flip(0) - expected).abs().max() <= 1e-4
    assert (go_on(model, twice, ids.repeat_interleave(2, 0))[::2] - expected).abs().max() <= 1e-4
    assert (go_on(model, one, ids[1:]) - expected[1:]).abs().max() <= 1e-4


@every_preset
def test_a_copy_goes_on_alone(model, ids, cache):
    copy, before = cache.copy(), positions(cache)
    found = go_on(model, copy, ids)
    assert cache.tokens_read == PROMPT
    assert all(torch.equal(a, b) for a, b in zip(positions(cache), before, strict=True))
    assert torch.equal(go_on(model, cache, ids), found)


@pytest.mark.parametrize("name", marked(NOT_BACK))
def test_it_goes_back_exactly_or_says_that_it_cannot(model, ids, cache):
    expected = go_on(model, cache.copy(), ids)
    go_on(model, cache, ids)
    try:
        cache.crop(-sum(MORE))
    except InvalidInput:
        return
    assert cache.tokens_read == PROMPT
    assert (go_on(model, cache, ids) - expected).abs().max() <= 1e-4


@every_preset
def test_the_same_text_gives_the_same_result(model, ids, name, cache):
    again = MemoryCache(model, PRESETS[name].at_share(SHARE))
    read(model, ids[:, :PROMPT], again)
    assert torch.equal(go_on(model, again, ids), go_on(model, cache, ids))


@every_preset
def test_a_larger_share_holds_no_less(model, ids, name):
    held = []
    for share in (0.125, 0.25, 0.5, 1.0):
        try:
            method = PRESETS[name].at_share(share)
        except InvalidInput:
            continue  # it cannot be that small
        cache = MemoryCache(model, method)
        read(model, ids[:1, :PROMPT], cache)
        held.append(cache.nbytes)
    assert len(held) >= 2
    assert all(one <= other for one, other in pairwise(held))


@every_preset
def test_its_claim_is_measured_on_a_task_of_the_benchmark_against_presets(name):
    from mnemos.bench.kv.at_shares import TASKS

    assert PRESETS[name].task in TASKS
    assert set(PRESETS[name].baselines) <= PRESETS.keys() - {name}
    assert PRESETS[name].baselines or name in ("random-eviction", "sliding-window")


def test_the_default_evicts_nothing(full):
    assert CacheMethod().idle_after_prompt
    assert full.held == [[PROMPT]] * 2
