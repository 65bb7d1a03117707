"""What carriers with slots or blocks beside feed-forward blocks promise: silence at birth, exact removal, their own rows."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from mnemos.bench.parametric.facts import make_world, vocabulary
from mnemos.bench.parametric.small_models import Shape, Texts, make_model
from mnemos.errors import InvalidInput
from mnemos.registry import all_entries

ENTRIES = [e for e in all_entries("parametric", kind="carrier") if e.operation == "recall"]
TEXTS = Texts()
FACTS = make_world(4, ["home"], seed=3).facts
EXAMPLES = [fact.example() for fact in FACTS]
SMALL = {"memory-slots": {"background": 8, "length": 8}}  # knobs that make it quick
IDS = TEXTS.batch([e.prompt + e.answer for e in EXAMPLES])


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def carrier(request):
    return request.param.target(**SMALL.get(request.param.name, {}))


@pytest.fixture(scope="module")
def model():
    return make_model(Shape(16, 16), 0).eval().requires_grad_(False)


def fill(learned):
    """Give weights that are zero at birth something to say."""
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


def test_it_is_silent_at_birth_and_the_same_for_a_seed(carrier, model):
    before = model(IDS).logits
    made = carrier.create(model, EXAMPLES, TEXTS.tokenizer, seed=4)
    with made.attach(model):
        assert torch.equal(model(IDS).logits, before)
    again = carrier.create(model, EXAMPLES, TEXTS.tokenizer, seed=4).tensors()
    assert all(torch.equal(again[name], tensor) for name, tensor in made.tensors().items())


def test_detached_the_model_is_as_it_was_to_the_last_bit(carrier, model):
    before, weights = model(IDS).logits, {n: p.clone() for n, p in model.state_dict().items()}
    made = carrier.create(model, EXAMPLES, TEXTS.tokenizer)
    fill(made)
    with made.attach(model):
        assert not torch.equal(model(IDS).logits, before)
    assert torch.equal(model(IDS).logits, before)
    with pytest.raises(KeyError), made.attach(model):
        raise KeyError
    assert torch.equal(model(IDS).logits, before)
    assert all(torch.equal(p, weights[n]) for n, p in model.state_dict().items())


def test_stored_and_loaded_it_says_the_same(carrier, model):
    made = carrier.create(model, EXAMPLES, TEXTS.tokenizer, seed=2)
    fill(made)
    again = carrier.load(model, made.tensors())
    with made.attach(model):
        said = model(IDS).logits
    with again.attach(model):
        assert torch.equal(model(IDS).logits, said)
    assert again.nbytes == made.nbytes == sum(t.numel() * t.element_size() for t in made.tensors().values())


def test_two_are_summed_in_any_order_and_one_leaves_without_the_other(carrier, model):
    first, second = (carrier.create(model, EXAMPLES[i : i + 2], TEXTS.tokenizer, seed=i) for i in (0, 2))
    fill(first)
    fill(second)
    with first.attach(model):
        alone = model(IDS).logits
        with second.attach(model):
            both = model(IDS).logits
        assert torch.equal(model(IDS).logits, alone)
        with pytest.raises(InvalidInput, match="attached already"), first.attach(model):
            pass
    with second.attach(model), first.attach(model):
        torch.testing.assert_close(model(IDS).logits, both)


def test_only_rows_that_an_example_reads_get_a_gradient(carrier, model):
    made = carrier.create(model, EXAMPLES, TEXTS.tokenizer)
    with made.attach(model):
        model(IDS[:1]).logits.sum().backward()
    for parameter in made.parameters():
        if parameter.grad is not None and parameter.shape[-2] > 1:
            rows = parameter.grad.abs().sum(-1).flatten()
            assert 0 < (rows > 0).sum() < len(rows) or parameter.grad.abs().sum() == 0


def test_another_model_is_refused(carrier, model):
    made = carrier.create(model, EXAMPLES, TEXTS.tokenizer)
    with pytest.raises(InvalidInput, match="make a memory for this model"), made.attach(make_model(Shape(32, 16), 0)):
        pass
    with pytest.raises(InvalidInput):
        carrier.load(make_model(Shape(32, 16), 0), made.tensors())
    with pytest.raises(InvalidInput, match="no examples"):
        carrier.create(model, [], TEXTS.tokenizer)


def test_it_fits_models_of_another_family(carrier):
    shape = GPT2Config(vocab_size=len(vocabulary()), n_embd=16, n_layer=2, n_head=2, n_positions=64, bos_token_id=1)
    other = GPT2LMHeadModel(shape).eval().requires_grad_(False)
    made = carrier.create(other, EXAMPLES, TEXTS.tokenizer)
    before = other(IDS).logits
    fill(made)
    with made.attach(other):
        assert not torch.equal(other(IDS).logits, before)
    assert torch.equal(other(IDS).logits, before)
