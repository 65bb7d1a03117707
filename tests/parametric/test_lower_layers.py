"""Lower layers that are computed once: the same logits and gradients, and no memory that acts in them."""

from __future__ import annotations

import pytest
import torch
from small import TOKENIZER, WORLD, decoder, same, state

from mnemos.errors import InvalidInput
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.encode.cartridge import Cartridge
from mnemos.parametric.lower import Lower
from mnemos.parametric.tokens import logits_of, pad_of, padded, row_of
from mnemos.parametric.training import Objective, Training, train

ROWS = [row_of(TOKENIZER, fact.prompt(), fact.answer) for fact in WORLD.facts[:4]]


@pytest.mark.parametrize(("family", "last"), [("llama", "layers.2.mlp.down_proj"), ("gpt2", "h.2.mlp.c_proj")])
def test_rows_in_any_batch_give_the_logits_and_gradients_of_the_whole_model(family, last):
    model = decoder(family, layers=3)
    model.requires_grad_(False)
    before, learned = state(model), Adapter(rank=2, targets=(last,)).create(model, (), TOKENIZER)
    with torch.no_grad():
        for weight in learned.parameters():
            weight.normal_()
    lower = Lower(model, 2).checked(learned)
    for rows in (ROWS[:2], ROWS, [*ROWS[3:], *ROWS[:1]]):
        batch = padded(rows, pad_of(TOKENIZER))
        found = []
        for ask in (lower.logits, lambda b: logits_of(model, b)):
            learned.zero_grad()
            with learned.attach(model):
                logits = ask(batch)
            logits.square().sum().backward()
            found.append((logits.detach(), [p.grad.clone() for p in learned.parameters()]))
        (mine, gradients), (whole, others) = found
        counted = batch.counted
        assert torch.allclose(mine[counted], whole[counted], atol=1e-5)
        assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(gradients, others, strict=True))
        assert any(float(g.abs().max()) > 0 for g in gradients)
    assert same(model, before)


@pytest.mark.parametrize("carrier", [Adapter(rank=2), Cartridge(4)])
def test_a_memory_that_acts_below_is_refused(carrier):
    model = decoder(layers=3)
    facts = [fact.example() for fact in WORLD.facts[:2]]
    learned = carrier.create(model, facts, TOKENIZER)
    knobs = Training(steps=1, batch=2, above=1, objective=Objective(distil=0, silent=0))
    with pytest.raises(InvalidInput, match="above=0"):
        train(model, TOKENIZER, learned, facts, knobs)
    with pytest.raises(InvalidInput, match="3 layers"):
        Lower(model, 3).checked(learned)
