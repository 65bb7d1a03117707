"""XQuant: keys and values computed again are those of the model, true bytes, and what rounding does to answers."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.compress.bits import pack, unpack
from mnemos.activation.compress.xquant import XQuant
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput

SPLIT = (40, 1, 1, 1, 1, 4)


def inputs(model, long_ids):
    """What the attention of each layer reads, (B, T, W), by a hook of our own."""
    found = {}

    def look(module, args, kwargs):
        found[module.layer_idx] = kwargs["hidden_states"]

    hooks = [layer.self_attn.register_forward_pre_hook(look, with_kwargs=True) for layer in model.model.layers]
    with torch.no_grad():
        model(long_ids)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(
    ("kv", "latent", "across"), [(4, None, False), (1, None, False), (2, False, True), (2, True, False)]
)
def test_without_rounding_logits_are_those_of_the_full_cache(make_llama, long_ids, read_in, kv, latent, across):
    model = make_llama(4, kv, layers=3)
    full, expected = read_in(model, CacheMethod(), long_ids, SPLIT)
    store = XQuant(bits=None, latent=latent, across=across, early=0, group=4, residual=2)
    cache, found = read_in(model, CacheMethod(store=store), long_ids, SPLIT)
    assert (found - expected).abs().max() < 1e-4
    for one, whole in zip(cache.layers, full.layers, strict=True):
        assert (one.keys - whole.keys).abs().max() < 1e-4
        assert (one.values - whole.values).abs().max() < 1e-4


def test_with_as_many_key_heads_as_query_heads_it_is_half_the_bytes(make_llama, long_ids, read_in, tensors):
    model = make_llama(4, 4, layers=2)
    full, _ = read_in(model, CacheMethod(), long_ids, (48,))
    cache, _ = read_in(model, CacheMethod(store=XQuant(bits=None)), long_ids, (48,))
    assert cache.nbytes == full.nbytes // 2
    for layer in cache.layers:
        store = layer.groups[0].store
        assert store.nbytes == sum(map(tensors, (store.entries, store.newest, store.parts)))


def test_inputs_are_rounded_per_token_and_projected_again(make_llama, long_ids, read_in):
    model = make_llama(4, 4, layers=2)
    x = inputs(model, long_ids)[0]
    cache, _ = read_in(model, CacheMethod(store=XQuant(4, group=16)), long_ids, (48,))
    rounded = unpack(pack(x[:, None], 4, 3, 16))[:, 0]
    projection = model.model.layers[0].self_attn.v_proj
    assert torch.allclose(cache.layers[0].values, projection(rounded).unflatten(-1, (4, -1)).transpose(1, 2), atol=1e-5)


def test_latents_of_keys_are_rounded_per_channel_and_those_of_values_per_token(make_llama, long_ids, read_in):
    model = make_llama(4, 1, layers=2)
    x = inputs(model, long_ids)[0]
    store = XQuant(4, group=16)
    cache, _ = read_in(model, CacheMethod(store=store), long_ids, (48,))
    attention, opened = model.model.layers[0].self_attn, cache.layers[0].groups[0].store.opened()
    for stream, projection, axis in zip(opened, (attention.k_proj, attention.v_proj), (2, 3), strict=True):
        basis = torch.linalg.svd(projection.weight, full_matrices=False)[2].T
        assert torch.allclose(stream, unpack(pack((x @ basis)[:, None], 4, axis, 16)), atol=1e-4)


def test_across_layers_the_difference_to_what_is_below_is_rounded(make_llama, long_ids, read_in):
    model = make_llama(4, 4, layers=3)
    x = inputs(model, long_ids)
    cache, _ = read_in(model, CacheMethod(store=XQuant(2, across=True, early=1, group=16)), long_ids, (48,))
    below = torch.zeros(1)
    for layer, bits in enumerate((4, 2, 2)):
        below = below + unpack(pack(x[layer][:, None] - below, bits, 3, 16))
        assert torch.allclose(cache.layers[layer].groups[0].store.opened()[0], below, atol=1e-5)


@pytest.mark.parametrize("across", [False, True])
def test_eight_bits_generate_as_the_full_cache_does_with_beams_and_copies(make_llama, long_ids, across):
    model = make_llama(4, 4, layers=3)
    more = {"max_new_tokens": 8, "num_beams": 2, "do_sample": False, "pad_token_id": 0}
    expected = model.generate(long_ids, **more)
    with attached(model):
        cache = MemoryCache(model, CacheMethod(store=XQuant(8, across=across, early_bits=8, group=16, residual=2)))
        other = cache.copy()
        for one in (cache, other):
            assert torch.equal(model.generate(long_ids, past_key_values=one, **more), expected)


def test_a_copy_and_a_crop_leave_what_was_there(make_llama, long_ids, read_in):
    model = make_llama(4, 4, layers=2)
    cache, _ = read_in(model, CacheMethod(store=XQuant(4, across=True, residual=4, group=16)), long_ids, (40,))
    other, keys = cache.copy(), cache.layers[1].keys
    with torch.no_grad(), attached(model):
        model(long_ids[:, 40:], past_key_values=other)
    assert torch.equal(cache.layers[1].keys, keys)
    other.crop(-8)
    assert torch.allclose(other.layers[1].keys, keys, atol=1e-6)
    with pytest.raises(InvalidInput, match="larger residual"):
        cache.crop(-5)


def test_what_cannot_be_computed_again_is_refused(make_llama, long_ids, read_in):
    model = make_llama(4, 4, layers=2)
    mask = torch.ones(2, 48, dtype=torch.long)
    mask[0, :5] = 0
    with torch.no_grad(), attached(model), pytest.raises(InvalidInput, match="padding"):
        model(long_ids, attention_mask=mask, past_key_values=MemoryCache(model, CacheMethod(store=XQuant())))
    with pytest.raises(InvalidInput, match="budget"):
        read_in(model, CacheMethod(KeyDiff(), prompt=10, store=XQuant()), long_ids, (48,))
    for given in ({"bits": 3}, {"group": 0}, {"latent": True, "across": True}):
        with pytest.raises(InvalidInput):
            XQuant(**given)
    with pytest.raises(InvalidInput, match="larger share"):
        MemoryCache(model, XQuant.at_share(0.02))


@pytest.mark.parametrize("family", ["Qwen3", "Olmo2"])  # each head alone, and all heads together
def test_models_whose_queries_and_keys_are_normalised_are_computed_again_too(long_ids, read_in, family):
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=99, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=512, pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    for layer in model.model.layers:
        layer.self_attn.k_norm.weight.data.uniform_(0.5, 2)
    _, expected = read_in(model, CacheMethod(), long_ids, SPLIT)
    assert (read_in(model, CacheMethod(store=XQuant(bits=None)), long_ids, SPLIT)[1] - expected).abs().max() < 1e-4


@pytest.mark.parametrize("share", [0.25, 0.125])
def test_answers_hold_at_the_share_of_bytes(small_model, answered_and_held, share):
    right, held = answered_and_held(small_model, XQuant.at_share(share), tasks.key_value(15, 64, 8, seed=41))
    assert held <= share
    assert right > (0.95 if share == 0.25 else 0.7)
