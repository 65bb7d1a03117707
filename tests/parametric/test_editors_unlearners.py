"""What every registered editor and unlearner promises, on GPT-2-like and Llama-like decoders."""

import inspect

import pytest
import torch

from mnemos.errors import Conflict, InvalidInput
from mnemos.parametric.answers import answered
from mnemos.parametric.base import Edit, Example
from mnemos.parametric.forget.ssd import Ssd
from mnemos.parametric.update.search import Search
from mnemos.registry import all_entries, get
from tests.parametric.small import TOKENIZER, WORLD, decoder, same, state

ENTRIES = [e for kind in ("editor", "unlearner") for e in all_entries("parametric", kind=kind)]
# Less work than by default, and thresholds that a model which knows nothing passes.
KNOBS = {
    "steps": 3,
    "count": 2,
    "stop": -1.0,
    "threshold": 1.0,
    "like": Ssd(threshold=1.0),
    "search": Search(steps=3, openings=2),
    "texts": tuple(fact.statement() for fact in WORLD.facts[:6]),
}


def make(entry):
    known = inspect.signature(entry.target).parameters
    return entry.target(**{name: value for name, value in KNOBS.items() if name in known})


def change(entry, model):
    facts = WORLD.facts
    if entry.kind == "editor":
        return make(entry).edit(model, TOKENIZER, [fact.edit(WORLD.other_value(fact)) for fact in facts[:2]])
    examples = [fact.example() for fact in facts]
    return make(entry).unlearn(model, TOKENIZER, examples[:4], examples[4:12])


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_it_changes_weights_and_undoes_that_bit_for_bit_once(entry, family):
    model = decoder(family)
    model.requires_grad_(False)
    before = state(model)
    undo = change(entry, model)
    assert not same(model, before)
    assert 0 < undo.nbytes <= sum(p.numel() * p.element_size() + 16 for p in model.parameters())
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    undo.undo()
    assert same(model, before)
    with pytest.raises(Conflict):
        undo.undo()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_it_is_the_same_every_time_and_is_not_undone_when_others_changed_the_weights(entry):
    model, again = decoder(), decoder()
    undo = change(entry, model)
    torch.manual_seed(99)
    change(entry, again)
    assert same(again, state(model))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1)
    after = state(model)
    with pytest.raises(Conflict):
        undo.undo()
    assert same(model, after)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.kind == "editor"], ids=lambda e: e.name)
@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (Edit("Ana lives in", "Rita", "Rome"), "'Rita' is not in the prompt"),
        (Edit("Ana lives in", "Ana", " "), "is empty"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_and_changes_nothing(entry, edit, complaint):
    model = decoder()
    before = state(model)
    with pytest.raises(InvalidInput, match=complaint):
        make(entry).edit(model, TOKENIZER, [WORLD.facts[0].edit("Rome"), edit])
    assert same(model, before)


def test_an_answer_is_changed_and_comes_back():
    model, fact = decoder(), WORLD.facts[0]
    edit = fact.edit(WORLD.other_value(fact))
    wanted = [Example(edit.prompt, edit.target)]
    editor = get("constrained-fine-tuning", form="parametric").target(bound=0, rate=0.05)
    undo = editor.edit(model, TOKENIZER, [edit])
    assert answered(model, TOKENIZER, wanted) == [True]
    undo.undo()
    assert answered(model, TOKENIZER, wanted) == [False]
