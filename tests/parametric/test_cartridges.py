"""Cartridges: an untrained one answers as the text it was made of, and nothing of it stays in a model."""

import pytest
import torch
from small import TOKENIZER, WORLD, decoder, same, state

from mnemos.errors import InvalidInput
from mnemos.parametric.encode.cartridge import Cartridge, CartridgeWeights, prefilled

TEXT, IDS = [1, 5, 9, 14, 3], torch.tensor([[20, 7, 6, 30, 2], [3, 3, 8, 11, 2]])


def whole(model):
    return CartridgeWeights(model, *prefilled(model, TEXT))


def said(model, ids, n=4):
    mask = torch.ones_like(ids)
    return model.generate(ids, max_new_tokens=n, do_sample=False, pad_token_id=0, attention_mask=mask)[:, -n:]


def test_the_keys_and_values_of_a_text_stand_for_it():
    model = decoder().double()
    cartridge, before = whole(model).double(), state(model)
    read = torch.cat([torch.tensor(TEXT).expand(2, -1), IDS], 1)
    with torch.no_grad():
        expected, plain = model(read).logits[:, len(TEXT) :], model(IDS).logits
        with cartridge.attach(model):
            assert torch.allclose(model(IDS).logits, expected, atol=1e-6)
            generated = said(model, IDS)
        assert torch.equal(model(IDS).logits, plain)
    assert torch.equal(generated, said(model, read))
    assert same(model, before)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_padding_changes_no_answer(family):
    model = decoder(family)
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    with torch.no_grad(), whole(model).attach(model):
        padded = model(IDS, attention_mask=mask, position_ids=positions).logits[0, 2:]
        assert torch.allclose(padded, model(IDS[:1, 2:]).logits[0], atol=1e-5)


def test_several_are_attended_to_together_whatever_their_order():
    model = decoder().double()
    one, two = whole(model).double(), CartridgeWeights(model, *prefilled(model, [4, 9, 2])).double()
    with torch.no_grad():
        with one.attach(model), two.attach(model):
            first = model(IDS).logits
        with two.attach(model), one.attach(model):
            assert torch.allclose(model(IDS).logits, first, atol=1e-12)
        with one.attach(model):
            assert not torch.allclose(model(IDS).logits, first, atol=1e-3)


def test_only_the_tokens_after_the_first_are_trained():
    model = decoder().requires_grad_(False)
    cartridge = whole(model)
    with cartridge.attach(model):
        model(IDS).logits.sum().backward()
    assert all(p.grad is not None and p.shape[1] == len(TEXT) - 1 for p in cartridge.parameters())
    assert cartridge.sink_key_0.shape[1] == 1
    assert not cartridge.sink_key_0.requires_grad


def test_it_begins_with_the_first_tokens_of_what_is_read_and_is_stored_whole():
    model = decoder()
    examples = [WORLD.facts[0].example()]
    made = Cartridge(4).create(model, examples, TOKENIZER)
    expected = prefilled(model, TOKENIZER(examples[0].prompt + examples[0].answer)["input_ids"][:4])
    assert torch.equal(made.of_layer(1)[0], expected[0][1])
    again = Cartridge(4).load(model, made.tensors())
    assert all(torch.equal(t, again.tensors()[name]) for name, t in made.tensors().items())
    with pytest.raises(InvalidInput, match="not those of a cartridge"):
        Cartridge().load(decoder(layers=1), made.tensors())
    with pytest.raises(InvalidInput, match="at least 2"):
        Cartridge(1).create(model, examples, TOKENIZER)
    with pytest.raises(InvalidInput, match="give examples"):
        Cartridge(4).create(model, [], TOKENIZER)
    with made.attach(model), pytest.raises(InvalidInput, match="attached already"), made.attach(model):
        pass
