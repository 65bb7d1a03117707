"""The parts of unlearning and its audits, against closed forms and brute force."""

import pytest
import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import encode
from mnemos.parametric.base import Example
from mnemos.parametric.feedforward import feed_forward_blocks
from mnemos.parametric.forget import membership
from mnemos.parametric.forget.curvature import CurvatureEdit, curvature, top_mass
from mnemos.parametric.forget.extraction import extract
from mnemos.parametric.forget.fisher import importances
from mnemos.parametric.forget.relation_neurons import Neuron, average_precision, switched_off
from mnemos.parametric.forget.ssd import Ssd
from mnemos.parametric.tokens import prompt_ids
from tests.parametric.small import TOKENIZER, WORLD, decoder, same, state

EXAMPLES = [fact.example() for fact in WORLD.facts]


def test_importance_is_the_mean_square_of_each_example_and_of_a_batch_the_square_of_the_mean():
    model = decoder()
    name = "model.layers.0.mlp.down_proj.weight"
    weight = dict(model.named_parameters())[name]
    gradients = []
    for example in EXAMPLES[:3]:
        tokens, prompt = encode(TOKENIZER, example)
        logits = model(input_ids=torch.tensor([tokens])).logits[0, prompt - 1 : -1]
        loss = nn.functional.cross_entropy(logits, torch.tensor(tokens[prompt:]))
        gradients.append(torch.autograd.grad(loss, weight)[0])
    each = torch.stack(gradients)
    torch.testing.assert_close(importances(model, TOKENIZER, EXAMPLES[:3])[name], each.square().mean(0))
    torch.testing.assert_close(importances(model, TOKENIZER, EXAMPLES[:3], 3)[name], each.mean(0).square())


def test_dampening_is_the_formula_of_the_paper():
    factors = Ssd(threshold=2.0, strength=0.5).factors(
        {"w": torch.tensor([1.0, 1.0, 0.0, 1.0])}, {"w": torch.tensor([10.0, 1.9, 1.0, 0.0])}
    )
    torch.testing.assert_close(factors["w"], torch.tensor([0.05, 1.0, 0.0, 1.0]))


def test_importances_that_were_computed_before_give_the_same_weights():
    one, two = decoder(), decoder()
    known = importances(one, TOKENIZER, [*EXAMPLES[4:], *EXAMPLES[:4]])
    Ssd(threshold=1.0).unlearn(one, TOKENIZER, EXAMPLES[:4], EXAMPLES[4:])
    Ssd(threshold=1.0, known=known).unlearn(two, TOKENIZER, EXAMPLES[:4], [])
    assert same(one, state(two))


def test_the_entries_of_the_top_mass_are_the_fewest():
    scores = torch.tensor([[5.0, 1.0], [3.0, 1.0]])
    assert top_mass(scores, 0.5).tolist() == [[True, False], [False, False]]
    assert top_mass(scores, 0.51).tolist() == [[True, False], [True, False]]
    assert top_mass(scores, 1.0).all()


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_curvature_of_one_token_is_that_of_its_gradient(family):
    """With one token read, the gradient of W is g a^T, so that A and G are its two squares."""
    model = decoder(family)
    matrix = feed_forward_blocks(model)[0].down
    ((of_inputs, of_gradients),) = curvature(model, [matrix], [([5, 9], 1)])
    loss = nn.functional.cross_entropy(model(input_ids=torch.tensor([[5]])).logits[0], torch.tensor([9]))
    gradient = torch.autograd.grad(loss, matrix.module.weight)[0].double()
    gradient = gradient.T if matrix.turned else gradient
    read = {}
    hook = matrix.module.register_forward_pre_hook(lambda _, args: read.update(a=args[0][0].double()))
    model(input_ids=torch.tensor([[5]]))
    hook.remove()
    size = read["a"].detach().square().sum()
    torch.testing.assert_close(2 * of_gradients * size, gradient @ gradient.T, rtol=1e-3, atol=1e-6)
    assert (torch.linalg.eigvalsh(of_inputs)[:-2].abs() < 1e-9).all()  # two tokens: rank two


def test_all_of_the_curvature_keeps_the_weights_but_what_no_text_reads():
    model = decoder()
    before = state(model)
    keep = [Example("", fact.statement(t)) for fact in WORLD.facts[::4] for t in range(3)]
    moved = {}
    for mass in (1.0, 0.5):
        undo = CurvatureEdit(mass=mass).unlearn(model, TOKENIZER, [], keep)
        moved[mass] = {name: float((t - before[name]).abs().max()) for name, t in model.state_dict().items()}
        undo.undo()
    assert max(moved[1.0].values()) < 0.02
    assert moved[0.5]["model.layers.0.mlp.down_proj.weight"] > 0.1
    assert moved[0.5]["model.layers.0.self_attn.q_proj.weight"] == 0


def test_average_precision_is_that_of_the_ranking():
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2, 0.0], [0.5, 0.9, 0.0], [0.1, 0.8, 0.0]])
    found = average_precision(scores, torch.tensor([True, True, False, False]))
    last = (1 / 3 + 2 / 4) / 2
    torch.testing.assert_close(found, torch.tensor([(1 + 2 / 3) / 2, last, last]).double())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_neuron_that_is_switched_off_writes_nothing_and_is_back_afterwards(family):
    model, ablated = decoder(family), decoder(family)
    with torch.no_grad():
        feed_forward_blocks(ablated)[1].down.weight[:, 5] = 0
    tokens = torch.tensor([prompt_ids(TOKENIZER, "Ana lives in")])
    full = model(input_ids=tokens).logits
    with switched_off(model, [Neuron(1, 5)]):
        torch.testing.assert_close(model(input_ids=tokens).logits, ablated(input_ids=tokens).logits)
    assert torch.equal(model(input_ids=tokens).logits, full)
    with pytest.raises(InvalidInput, match="not a neuron"), switched_off(model, [Neuron(2, 0)]):
        pass


def test_auc_counts_pairs_and_is_a_half_where_nothing_tells():
    found = membership.compare([3.0, 2.0, 1.0], [2.0, 0.0])
    assert found.auc == pytest.approx((2 + 1.5 + 1) / 6)
    even = membership.compare([1.0] * 5, [1.0] * 5)
    assert (even.auc, even.error, even.gap) == (0.5, 0.0, 0.0)
    low, high = found.interval
    assert 0 <= low < found.auc < high <= 1


def test_a_model_that_was_trained_on_texts_gives_them_away():
    model, reference = decoder(), decoder()
    members = [Example("", fact.statement()) for fact in WORLD.facts[0:12:4]]
    others = [Example("", fact.statement()) for fact in WORLD.facts[12::4]]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(25):
        for tokens, _ in (encode(TOKENIZER, example) for example in members):
            batch = torch.tensor([tokens])
            loss = nn.functional.cross_entropy(model(input_ids=batch).logits[0, :-1], batch[0, 1:])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    audits = [membership.audit(model, TOKENIZER, members, others, score) for score in ("loss", "min-k")]
    audits.append(membership.audit(model, TOKENIZER, members, others, "reference", reference=reference))
    assert all(found.auc > 0.95 and found.gap > 0 for found in audits)
    texts = [example.answer for example in members]
    assert extract(model, TOKENIZER, texts, 4, 3).memorised == 1
    assert extract(reference, TOKENIZER, texts, 4, 3).mean < 0.5
    assert extract(model, TOKENIZER, texts, 4, 99).scores == (None,) * 3
