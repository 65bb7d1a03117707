"""Models of mixers in transformers: what `generate` says is what the model says."""

import pytest
import torch

pytest.importorskip("transformers")

from mnemos.errors import InvalidInput
from mnemos.neural.model import LM
from mnemos.neural.pretrained import MixerConfig, MixerForCausalLM, register_with_transformers

MIXERS = ["gated-delta-net", ["attention", {"window": 6}]]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MixerForCausalLM(MixerConfig(20, 16, MIXERS)).eval()


@pytest.fixture
def tokens():
    return torch.randint(1, 20, (2, 9), generator=torch.Generator().manual_seed(1))


def greedy(model, tokens, **options):
    return model.generate(tokens, max_new_tokens=6, do_sample=False, pad_token_id=0, eos_token_id=None, **options)


def test_it_generates_what_the_model_says(model, tokens):
    assert torch.equal(greedy(model, tokens)[:, 9:], model.model.generate(tokens, 6)[0])
    assert torch.equal(greedy(model, tokens, use_cache=False), greedy(model, tokens))


def test_padding_on_the_left_changes_nothing(model, tokens):
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), tokens], 1)
    mask = torch.cat([torch.zeros(2, 3), torch.ones(2, 9)], 1).long()
    assert torch.equal(greedy(model, padded, attention_mask=mask)[:, 3:], greedy(model, tokens))


def test_a_second_turn_goes_on_from_the_state(model, tokens):
    first = greedy(model, tokens, return_dict_in_generate=True)
    said = first.sequences
    asked = torch.cat([said, tokens[:, :4]], 1)
    again = greedy(model, asked, past_key_values=first.past_key_values)
    assert torch.equal(again, greedy(model, asked))


def test_beams_are_those_without_a_state(model, tokens):
    with_state = greedy(model, tokens, num_beams=3)
    assert torch.equal(with_state, greedy(model, tokens, num_beams=3, use_cache=False))


def test_its_loss_is_that_of_the_next_token(model, tokens):
    labels = tokens.clone()
    labels[:, :4] = -100
    found = model(tokens, labels=labels).loss
    logits = model.model(tokens)[0][:, 3:-1]
    wanted = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 4:].flatten())
    torch.testing.assert_close(found, wanted)


def test_it_is_saved_and_loaded_by_its_name(model, tokens, tmp_path):
    from transformers import AutoModelForCausalLM

    register_with_transformers()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.model.head.weight is loaded.model.embed.weight
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)


def test_a_language_model_becomes_one(tokens):
    torch.manual_seed(0)
    lm = LM(20, width=16, mixers=["delta-net", ("attention", {"window": 6})], expand=2, tied=False).eval()
    wrapped = MixerForCausalLM.of(lm).eval()
    with torch.no_grad():
        assert torch.equal(wrapped(tokens).logits, lm(tokens)[0])
    assert wrapped.config.mixers == ["delta-net", ["attention", {"window": 6}]]


def test_a_saved_language_model_is_the_same(tokens, tmp_path):
    torch.manual_seed(0)
    lm = LM(20, width=16, mixers=["delta-net", ("attention", {"window": 6})], expand=2).eval()
    lm.save(tmp_path / "lm")
    loaded = LM.load(tmp_path / "lm").eval()
    assert loaded.config == lm.config
    assert torch.equal(loaded(tokens)[0], lm(tokens)[0])


def test_weights_of_another_configuration_are_refused(tmp_path):
    LM(20, width=16, mixers=["delta-net"]).save(tmp_path / "one")
    LM(20, width=16, mixers=["delta-net", "delta-net"]).save(tmp_path / "two")
    (tmp_path / "two" / "model.safetensors").replace(tmp_path / "one" / "model.safetensors")
    with pytest.raises(InvalidInput, match=r"not those of its config\.json"):
        LM.load(tmp_path / "one")
