"""A decoder with an adapter as a classifier: its logits are the model's own, and strategies ride on it and are saved with it."""

import copy
from functools import partial

import pytest
import torch
from small import TOKENIZER, decoder, same, state

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.average import SlowCopy
from mnemos.parametric.consolidate.distillation import Distillation
from mnemos.parametric.consolidate.labelling import PAD, Labelling, rows_of, upper
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.consolidate.saving import load, save
from mnemos.parametric.encode.adapter import Adapter

ENDING, LABELS = (9, 4), ((1,), (2, 3), (5,))
X = torch.tensor([[PAD, 7, 8, 9], [5, 6, 7, 8], [PAD, PAD, PAD, 4], [2, 2, 1, 6]], dtype=torch.int32)
Y = torch.tensor([0, 1, 2, 0])


def labelling(model=None, layers=2, seed=0):
    model = model or decoder(layers=3)
    carrier = Adapter(rank=2, targets=upper(model, layers, "mlp.down_proj", "self_attn.q_proj"))
    return Labelling(model, carrier, LABELS, ENDING, layers, seed)


def test_its_logits_are_those_of_the_model_at_the_labels():
    model = decoder(layers=3)
    said = labelling(model)(X)
    for row, logits in zip(X, said, strict=True):
        tokens = [*row[row != PAD].tolist(), *ENDING]
        whole = model(torch.tensor([tokens])).logits[0, -1]
        assert torch.allclose(logits, torch.stack([whole[list(label)].mean() for label in LABELS]), atol=1e-5)


def test_a_row_says_the_same_alone_and_among_others():
    model = labelling()
    together = model(X)
    assert torch.allclose(torch.cat([model(row[None]) for row in X]), together, atol=1e-5)


def test_a_copy_learns_apart_and_the_decoder_stays_as_it_was():
    base = decoder(layers=3)
    before, model = state(base), labelling(base)
    other = copy.deepcopy(model)
    assert torch.equal(other(X), model(X))
    learner = Learner(model, optimise=partial(torch.optim.Adam, lr=0.05))
    first = learner.observe(X, Y)
    for _ in range(30):
        last = learner.observe(X, Y)
    assert last < 0.5 * first
    assert not torch.allclose(other(X), model(X))
    assert same(base, before)
    assert set(model.state_dict()) == {f"learned.weights.{i}" for i in range(8)}


@pytest.mark.parametrize("strategies", [Replay(3) + SlowCopy(), Distillation(), Anchor(10.0)])
@pytest.mark.filterwarnings("ignore::mnemos.parametric.consolidate.learner.CannotWork")
def test_saved_between_two_steps_it_ends_with_the_same_bits(strategies, tmp_path):
    def made(seed):
        return Learner(labelling(seed=seed), strategies, optimise=partial(torch.optim.Adam, lr=0.05))

    whole = made(0)
    for step in range(6):
        whole.observe(X, Y, step // 3)
        if step == 3:
            save(whole, tmp_path / "learner")
    again = made(1)
    load(again, tmp_path / "learner")
    for _ in range(2):
        again.observe(X, Y, 1)
    assert torch.equal(again.predict(X), whole.predict(X))


def test_texts_become_rows_that_end_alike():
    texts = [TOKENIZER.decode([5]), TOKENIZER.decode([5, 6, 7, 8])]
    wanted = [TOKENIZER(text)["input_ids"][:3] for text in texts]
    rows = rows_of(TOKENIZER, texts, 3)
    assert rows.dtype == torch.int32
    assert [row[row != PAD].tolist() for row in rows] == wanted
    assert rows[0, 0] == PAD
    assert rows[1, 0] != PAD


def test_what_does_not_fit_is_said():
    model = decoder(layers=3)
    with pytest.raises(InvalidInput, match="layers as Llama's"):
        Labelling(decoder("gpt2"), Adapter(targets=("all",)), LABELS, ENDING, 1)
    with pytest.raises(InvalidInput, match="acts below the 1 upper"):
        Labelling(model, Adapter(targets=upper(model, 2, "mlp.down_proj")), LABELS, ENDING, 1)
    with pytest.raises(InvalidInput, match="layers is 4"):
        Labelling(model, Adapter(targets=("all",)), LABELS, ENDING, 4)
    with pytest.raises(InvalidInput, match="at least one label"):
        Labelling(model, Adapter(targets=("all",)), (), ENDING, 1)
