"""A model attends to the right keys or says that it cannot: expanded and shared keys, other caches, threads."""

from __future__ import annotations

import threading

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers import DynamicCache

from mnemos.activation import CacheMethod, MemoryCache, attached
from mnemos.activation.attach import BACKEND
from mnemos.activation.presets import get_preset
from mnemos.activation.recall.moc import MoC, routed
from mnemos.errors import InvalidInput
from tests.activation.chunks import logits


def make(name, **more):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")
    sizes = {
        "vocab_size": 99, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    return getattr(transformers, name.replace("Text", "") + "ForCausalLM")(config(**sizes | more)).eval()


@pytest.fixture(scope="module")
def latent():
    """DeepSeek V3: keys are made of latents, after the cache was given them."""
    return make(
        "DeepseekV3", num_key_value_heads=4, kv_lora_rank=16, q_lora_rank=24, qk_rope_head_dim=8, qk_nope_head_dim=8,
        v_head_dim=8, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, n_group=1, topk_group=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def sharing():
    """Gemma3n: the last two layers attend to the keys of earlier ones."""
    kinds = ["sliding_attention", "full_attention"] * 2
    return make(
        "Gemma3nText", head_dim=8, sliding_window=8, num_hidden_layers=4, num_kv_shared_layers=2, layer_types=kinds,
        vocab_size_per_layer_input=99, hidden_size_per_layer_input=8, laurel_rank=8, intermediate_size=[32] * 4,
        activation_sparsity_pattern=[0.0] * 4,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["latent", "sharing"])
@pytest.mark.parametrize("padded", [False, True])
def test_expanded_and_shared_keys_give_the_logits_of_transformers_own_cache(request, ids, kind, padded):
    model, mask = request.getfixturevalue(kind), None
    if padded:
        mask = torch.ones(2, 40, dtype=torch.long)
        mask[0, :7] = 0
    expected = logits(model, ids, DynamicCache(config=model.config), mask=mask)
    with attached(model):
        cache = MemoryCache(model)
        error = (logits(model, ids, cache, mask=mask) - expected).abs()
    assert error[1].max() <= 1e-5
    assert error[0, 7 if padded else 0 :].max() <= 1e-5
    window = [[7], [40]] if kind == "sharing" else [[40], [40]]
    assert cache.held == window, "each entry is held once"


def test_shared_keys_are_evicted_after_the_last_layer_has_attended_to_them(sharing, ids):
    with attached(sharing):
        cache = MemoryCache(sharing, CacheMethod(prompt=10, sinks=2))
        found = logits(sharing, ids[:, :20], cache, (20,))
        expected = logits(sharing, ids[:, :20], MemoryCache(sharing), (20,))
        assert torch.equal(found, expected), "a prompt is read whole"
        assert cache.held == [[7], [10]]
        assert torch.isfinite(logits(sharing, ids[:, 20:], cache, (1, 19))).all()


@pytest.mark.skipif(transformers.__version__ < "5", reason="transformers 4 gives the cache the keys that it makes")
def test_latents_are_held_whole_or_refused(latent):
    for method in (CacheMethod(prompt=0.5), get_preset("kivi").at_share(0.5), get_preset("h2o").at_share(0.5)):
        with pytest.raises(InvalidInput, match="latents"):
            MemoryCache(latent, method)


def test_capped_logits_equal_transformers_own(ids):
    model = make("Gemma2", head_dim=8, sliding_window=8, query_pre_attn_scalar=8, attn_logit_softcapping=0.5)
    model.set_attn_implementation("eager")
    expected = logits(model, ids, DynamicCache(config=model.config))
    with attached(model):
        assert (logits(model, ids, MemoryCache(model)) - expected).abs().max() <= 1e-5
    assert model.config._attn_implementation == "eager"


def test_layers_without_keys_and_attention_of_their_own_are_refused(ids):
    conv = make("Lfm2", layer_types=["conv", "full_attention"])
    with pytest.raises(InvalidInput, match="kind conv"):
        MemoryCache(conv)
    sinks = make("GptOss", head_dim=8, num_local_experts=2, num_experts_per_tok=1)
    with attached(sinks), pytest.raises(InvalidInput, match="s_aux"):
        logits(sinks, ids, MemoryCache(sinks))


def test_keys_that_are_given_and_not_attended_to_are_refused_at_once(make_llama, ids):
    model = make_llama(layers=2)
    with attached(model):
        model.set_attn_implementation("sdpa")  # as another library would
        with pytest.raises(InvalidInput, match="layer 0 gave keys"):
            model(ids, past_key_values=MemoryCache(model))
    assert model.config._attn_implementation == "sdpa"
    with attached(model):
        last = model.model.layers[1].self_attn
        forward = last.forward
        last.forward = lambda hidden_states, **kwargs: (hidden_states, None)  # a layer without a cache
        with pytest.raises(InvalidInput, match="all layers"):
            model(ids, past_key_values=MemoryCache(model))
        last.forward = forward


def test_a_cache_that_failed_half_way_is_not_used_again(make_llama, ids):
    model = make_llama(layers=2)
    cache = MemoryCache(model)
    with attached(model):
        model(ids[:, :5], past_key_values=cache)
        hook = model.model.layers[1].register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model(ids[:, 5:6], past_key_values=cache)
        hook.remove()
        with pytest.raises(InvalidInput, match="half-way"):
            model(ids[:, 5:6], past_key_values=cache)
        cache.reset()
        model(ids[:, :5], past_key_values=cache)
    assert cache.held == [[5]] * 2


def test_other_caches_are_used_inside_as_outside(llama, ids):
    expected = logits(llama, ids, DynamicCache())
    with attached(llama):
        assert torch.equal(logits(llama, ids, DynamicCache()), expected)
        assert torch.equal(llama(ids).logits, expected) or (llama(ids).logits - expected).abs().max() <= 1e-5
        assert llama.generate(ids, max_new_tokens=3, do_sample=False, cache_implementation="static").shape == (2, 43)


def test_masks_that_are_not_causal_are_refused(llama, ids):
    mask = torch.ones(2, 1, 40, 40, dtype=torch.bool)
    with attached(llama), pytest.raises(InvalidInput, match="masks of other shapes"):
        llama(ids, past_key_values=MemoryCache(llama), attention_mask=mask)


def test_attachments_are_counted(llama, ids):
    before = llama.config._attn_implementation
    with attached(llama):
        with pytest.raises(RuntimeError), attached(llama), attached(llama.model):
            raise RuntimeError
        assert llama.config._attn_implementation == BACKEND
        cache = MemoryCache(llama)
        llama(ids, past_key_values=cache)
        assert cache.held == [[40]] * 3
    assert llama.config._attn_implementation == before
    assert not llama._forward_hooks
    assert not llama.model._forward_pre_hooks


def test_a_model_attends_by_one_function_of_ours_at_a_time(llama, ids):
    moc = MoC(size=4, top=1, local=8, sinks=4)
    with attached(llama), pytest.raises(InvalidInput, match="already"), routed(llama, moc):
        pass
    with routed(llama, moc):
        with pytest.raises(InvalidInput, match="already"), routed(llama, moc):
            pass
        expected = llama(ids).logits
        with attached(llama):
            assert torch.equal(llama(ids).logits, expected), "a call without our cache attends as before"
            llama(ids, past_key_values=(cache := MemoryCache(llama)))
    assert cache.held == [[40]] * 3


def test_threads_with_caches_of_their_own_get_the_answers_of_one_thread(make_llama, ids):
    """Each layer of one thread waits for the other to reach a layer, too: calls interleave, attachments overlap."""
    model = make_llama(layers=2)
    texts = [ids, ids.flip(1), ids.flip(0)]
    alone = []
    for text in texts:
        with attached(model):
            alone.append(logits(model, text, MemoryCache(model, CacheMethod(prompt=9, sinks=1))))
    plain = logits(model, ids, DynamicCache())
    turn = threading.Barrier(4)

    def meet(*_):
        try:
            turn.wait(0.05)
        except threading.BrokenBarrierError:
            turn.reset()

    hooks = [layer.register_forward_pre_hook(meet) for layer in model.model.layers]
    wrong = []

    def run(number):
        for _ in range(3):
            if number == 3:
                found, expected = logits(model, ids, DynamicCache()), plain
            else:
                with attached(model):
                    cache = MemoryCache(model, CacheMethod(prompt=9, sinks=1))
                    found, expected = logits(model, texts[number], cache), alone[number]
            if not torch.allclose(found, expected, atol=1e-5):
                wrong.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for hook in hooks:
        hook.remove()
    assert wrong == []
    assert model.config._attn_implementation != BACKEND


def test_two_threads_on_one_cache_are_refused(llama, ids):
    cache, inside, done, errors = MemoryCache(llama), threading.Event(), threading.Event(), []

    def hold(*_):
        inside.set()
        done.wait(5)

    def read():
        with attached(llama):
            llama(ids, past_key_values=cache)

    hook = llama.model.layers[0].register_forward_pre_hook(hold)
    thread = threading.Thread(target=read)
    thread.start()
    inside.wait(5)
    try:
        with attached(llama), pytest.raises(InvalidInput, match="another thread"):
            llama(ids, past_key_values=cache)
    finally:
        done.set()
        thread.join()
        hook.remove()
    assert not errors
    assert cache.held == [[40]] * 3
