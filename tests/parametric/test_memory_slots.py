"""Slots beside a frozen model: an item writes what its answers read and other texts do not."""

from dataclasses import replace

import pytest
import torch

from mnemos.bench.parametric.facts import make_world
from mnemos.bench.parametric.small_models import Shape, Texts, make_model
from mnemos.errors import InvalidInput
from mnemos.parametric.recall.beside import layers_at
from mnemos.parametric.recall.memory_slots import Addresses, MemorySlots

TEXTS = Texts()
EXAMPLES = [fact.example() for fact in make_world(6, ["home"], seed=5).facts]
KNOBS = MemorySlots(n=64, k=4, slots=4, background=8, length=12)


@pytest.fixture(scope="module")
def model():
    return make_model(Shape(16, 16), 0).eval().requires_grad_(False)


def answering(model, example):
    ids = torch.tensor([TEXTS.ids(example.prompt + example.answer)])
    return ids, len(TEXTS.ids(example.prompt)) - 1


def test_an_item_has_few_slots_which_its_answer_reads(model):
    made = KNOBS.create(model, EXAMPLES[:1], TEXTS.tokenizer)
    assert 0 < (made.slots >= 0).sum() <= KNOBS.slots
    ids, at = answering(model, EXAMPLES[0])
    kept = []
    handle = model.model.layers[-1].mlp.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0][0]))
    model(ids)
    handle.remove()
    read = made.address(0, kept[0][at:-1])[0].unique()
    assert set(made.slots[made.slots >= 0].tolist()) <= set(read.tolist())


def test_of_the_slots_that_it_reads_an_item_gets_those_that_other_texts_do_not(model):
    width = 16
    one = torch.nn.functional.normalize(torch.randn(1, width, generator=torch.Generator().manual_seed(0)), dim=-1)
    address = Addresses(KNOBS, 1, width, 0, torch.zeros(1, width), torch.ones(1, width))
    read = address(0, one)[0].unique()
    other = one + 0.3 * torch.randn(200, width, generator=torch.Generator().manual_seed(1))
    use = {int(s): int((address(0, other)[0].flatten(1) == s).any(1).sum()) for s in read}
    few = replace(KNOBS, slots=3)
    chosen = few._choose(address, 0, [one], other, 3).tolist()
    assert len(read) > 3
    assert sum(use[s] for s in chosen) / 3 < sum(use.values()) / len(use)


def test_training_an_item_makes_it_known_and_leaves_unread_tokens_alone(model):
    made = KNOBS.create(model, EXAMPLES[:1], TEXTS.tokenizer)
    ids, at = answering(model, EXAMPLES[0])
    optimizer = torch.optim.Adam(made.parameters(), lr=0.3)
    for _ in range(60):
        with made.attach(model):
            logits = model(ids).logits[0, at:-1]
        torch.nn.functional.cross_entropy(logits, ids[0, at + 1 :]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with made.attach(model):
        assert model(ids).logits[0, at:-1].argmax(-1).tolist() == ids[0, at + 1 :].tolist()
    hidden = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))
    found = made.address(0, hidden)[0].flatten(1)
    silent = ~torch.isin(found, made.slots[0]).any(1)
    assert silent.any()
    assert torch.equal(made.added(0, hidden[None])[0][silent], torch.zeros(int(silent.sum()), 16))


def test_layers_are_shares_of_the_depth(model):
    assert layers_at(model, (0.0, 1.0, 0.9)) == [0, 1]
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        layers_at(model, (1.5,))
