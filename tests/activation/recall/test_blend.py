"""Joined texts: what is computed again is right, all of it is reading them together, and what cannot be moved is refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached, read
from mnemos.activation.recall.blend import Blend, join, read_alone
from mnemos.errors import InvalidInput

SINK = [1]
TEXTS = [[5, 9, 33, 7, 60, 12], [41, 8, 8, 77, 20, 31, 15, 3], [90, 14, 6, 52], [23, 71, 19, 44, 10]]
FLAT = [*SINK, *(t for text in TEXTS for t in text)]
SIZES = {"vocab_size": 99, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
         "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip
SHARED = SIZES | {"num_key_value_heads": 2}
FAMILIES = {
    "Llama": SHARED,
    "Mistral": SHARED | {"sliding_window": None},
    "Qwen2": SHARED,
    "Qwen3": SHARED | {"head_dim": 16},
    "Olmo2": SHARED,
    "Gemma": SHARED | {"head_dim": 16},
    "Phi": SHARED | {"partial_rotary_factor": 0.5},
    "GPTNeoX": SIZES,
    "Granite": SHARED,
}


def build(family, **options):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = getattr(transformers, f"{family}Config")(**options)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def blended(model, share, texts=TEXTS, **options):
    segments = [read_alone(model, SINK, text) for text in texts]
    ids = torch.tensor([*SINK, *(t for text in texts for t in text)])
    return Blend(share, **options).read(model, ids, segments, len(SINK))


@torch.no_grad()
def together(model):
    cache = MemoryCache(model)
    read(model, torch.tensor([FLAT]), cache)
    return cache


def said(model, cache):
    with torch.no_grad(), attached(model):
        return model(torch.tensor([[17, 55, 4]]), past_key_values=cache.copy()).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_all_computed_again_is_reading_them_together(family):
    model = build(family, **FAMILIES[family])
    expected = said(model, together(model))
    assert (said(model, blended(model, 1.0)) - expected).abs().max() <= 1e-4
    assert (said(model, blended(model, 0.0)) - expected).abs().max() > 1e-3, "the model tells the two apart"


@pytest.mark.parametrize("choose", ["question", "deviation", "first"])
def test_the_chosen_share_is_computed_and_the_rest_left_as_read_alone(llama, choose):
    method = Blend(0.25, choose)
    segments = [read_alone(llama, SINK, text) for text in TEXTS]
    alone = join(segments, 1, MemoryCache(llama).rotary())
    asked = torch.tensor([17, 55, 4])
    at = method.chosen(llama, torch.tensor(FLAT), alone, [len(t) for t in TEXTS], 1, asked)
    assert len(at) == len(FLAT) // 4
    assert at.min() >= 1 + len(TEXTS[0]), "the first text is right already"
    cache = method.read(llama, torch.tensor(FLAT), segments, 1, asked)
    left = [i for i in range(len(FLAT)) if i not in at.tolist()]
    for index, layer in enumerate(cache.layers):
        assert torch.equal(layer.keys[:, :, left], alone.keys[index][:, :, left])
        assert torch.equal(layer.values[:, :, left], alone.values[index][:, :, left])
    moved = (cache.layers[2].values - alone.values[2])[:, :, at].abs().amax((0, 1, 3))
    assert bool((moved > 0).all())


def test_what_is_computed_again_in_the_second_layer_is_right(llama):
    """Keys of the first layer are right when they are moved, so the second is right where it is computed."""
    method = Blend(0.4)
    cache, full = blended(llama, 0.4), together(llama)
    segments = [read_alone(llama, SINK, text) for text in TEXTS]
    alone = join(segments, 1, MemoryCache(llama).rotary())
    at = method.chosen(llama, torch.tensor(FLAT), alone, [len(t) for t in TEXTS], 1)
    assert (cache.layers[0].keys - full.layers[0].keys).abs().max() <= 1e-5
    assert (cache.layers[1].values[:, :, at] - full.layers[1].values[:, :, at]).abs().max() <= 1e-5
    wrong = (alone.values[1] - full.layers[1].values).square().sum((0, 1, 3))
    rest = [i for i in range(len(FLAT)) if i not in at.tolist()]
    assert wrong[at].min() >= wrong[rest].max() - 1e-6, "the farthest are chosen"


def test_the_first_tokens_of_each_text_are_chosen_evenly(llama):
    segments = [read_alone(llama, SINK, text) for text in TEXTS]
    whole = join(segments, 1, MemoryCache(llama).rotary())
    at = Blend(7 / len(FLAT), "first").chosen(llama, torch.tensor(FLAT), whole, [len(t) for t in TEXTS], 1).tolist()
    starts = [1 + sum(len(t) for t in TEXTS[:i]) for i in (1, 2, 3)]
    assert {*starts, *(s + 1 for s in starts)} <= set(at)
    assert len(at) == 7


def test_a_question_chooses_what_it_attends_to(llama):
    """The second of three layers decides; its attention, by the model itself over the joined entries."""
    segments = [read_alone(llama, SINK, text) for text in TEXTS]
    whole, asked = join(segments, 1, MemoryCache(llama).rotary()), torch.tensor([17, 55, 4])
    at = Blend(0.3).chosen(llama, torch.tensor(FLAT), whole, [len(t) for t in TEXTS], 1, asked)
    cache = transformers.DynamicCache()
    for index, (keys, values) in enumerate(zip(whole.keys, whole.values, strict=True)):
        cache.update(keys.clone(), values.clone(), index)
    llama.set_attn_implementation("eager")
    with torch.no_grad():
        weights = llama(asked[None], past_key_values=cache, output_attentions=True).attentions[:2]
    llama.set_attn_implementation("sdpa")
    got = sum(w.sum((0, 1, 2))[: len(FLAT)] for w in weights)
    smooth = torch.nn.functional.avg_pool1d(got[None], 7, 1, 3)[0]
    assert at.tolist() == (smooth[7:].topk(len(at)).indices + 7).sort().values.tolist()


def test_the_segments_are_not_changed(llama):
    segments = [read_alone(llama, SINK, text) for text in TEXTS]
    before = [[t.clone() for t in (*s.keys, *s.values)] for s in segments]
    Blend(0.5).read(llama, torch.tensor(FLAT), segments, 1)
    for segment, old in zip(segments, before, strict=True):
        assert all(torch.equal(a, b) for a, b in zip((*segment.keys, *segment.values), old, strict=True))


def test_one_text_is_as_it_was_read(llama):
    cache = blended(llama, 0.0, TEXTS[:1])
    full = together(llama)
    assert (cache.layers[2].values - full.layers[2].values[:, :, :7]).abs().max() <= 1e-6


@pytest.mark.parametrize(
    ("family", "options", "why"),
    [
        ("GPT2", {"vocab_size": 99, "n_embd": 64, "n_layer": 2, "n_head": 4}, "rotary"),
        ("Cohere", SHARED, "another way"),
        ("Llama", SHARED | {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "changes with the length"),
        ("Mistral", SHARED | {"sliding_window": 4}, "sliding window"),
    ],
)  # fmt: skip
def test_models_whose_texts_cannot_be_joined_are_refused(family, options, why):
    model = build(family, **options)
    with pytest.raises(InvalidInput, match=why):
        blended(model, 0.5)


@pytest.mark.parametrize("options", [{"share": -0.1}, {"share": 15}, {"choose": "some"}, {"probe": 0}])
def test_nonsense_is_refused(options):
    with pytest.raises(InvalidInput, match="give"):
        Blend(**options)
