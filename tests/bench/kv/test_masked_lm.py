"""The masked-diffusion model and its texts: what is right, what training hides, and that a model is trained once."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.diffusion.model import MaskedLM, Shape
from mnemos.bench.kv import masked_lm
from mnemos.bench.kv.vocabulary import SIZE
from mnemos.errors import MnemosError

TOY = masked_lm.TinyMaskedLM(Shape(SIZE, layers=1, hidden=16, heads=1, width=16, mlp=16), steps=2, rows=8)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A folder of its own, a model that always counts as trained, and the calls that trained one."""
    monkeypatch.setenv("MNEMOS_CACHE", str(tmp_path))
    monkeypatch.setattr(masked_lm, "KNOWN", 100.0)
    trained = []
    monkeypatch.setattr(masked_lm, "fit", lambda *args, fit=masked_lm.fit: trained.append(args) or fit(*args))
    return trained


def test_a_group_is_right_when_all_of_it_is_of_one_row():
    prompts, answers = masked_lm.texts(50, seed=3)
    assert masked_lm.right(prompts, answers).all()
    one, other = prompts[:, 1:17], prompts[:, 17:33]
    assert masked_lm.right(prompts, torch.cat([one[:, :8], other[:, 8:]], 1)).all()
    mixed = torch.cat([one[:, :2], other[:, 2:]], 1)
    assert masked_lm.right(prompts, mixed).tolist() == [[False, True]] * 50
    assert not (one == other).any()
    wrong = answers.clone()
    wrong[:, 15] = prompts[:, 0]
    assert masked_lm.right(prompts, wrong).tolist() == [[True, False]] * 50


def test_masks_hide_something_of_every_answer_and_half_of_them_block_by_block():
    hidden = masked_lm.masks(400, torch.Generator().manual_seed(0))
    assert hidden.any(1).all()
    for row in hidden[::2].tolist():
        first = row.index(True)
        block = first - first % masked_lm.BLOCK
        assert all(row[block + masked_lm.BLOCK :])


def test_an_answer_read_apart_sees_the_prompt_beside_masks_only():
    model = MaskedLM(TOY.shape).eval()
    prompts, answers = masked_lm.texts(4, seed=0)
    hidden = torch.full_like(answers, model.mask)
    with torch.no_grad():
        whole = model(torch.cat([prompts, hidden], 1))[:, masked_lm.PROMPT :]
        torch.testing.assert_close(masked_lm.apart(model, torch.cat([prompts, hidden], 1)), whole)


def test_a_model_is_trained_once_and_read_back_exactly(toy):
    first = masked_lm.train_masked_lm(TOY, seed=1)
    again = masked_lm.train_masked_lm(TOY, seed=1)
    assert len(toy) == 1
    assert again.record == first.record
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True))
    assert not any(p.requires_grad for p in again.model.parameters())
    masked_lm.train_masked_lm(TOY, seed=2)
    assert len(toy) == 2


def test_a_damaged_model_is_said_to_be_and_trained_again(toy):
    path = masked_lm.train_masked_lm(TOY).path
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.warns(UserWarning, match="damaged"):
        masked_lm.train_masked_lm(TOY)
    assert len(toy) == 2


def test_a_model_that_has_not_learnt_is_not_kept(toy, monkeypatch):
    monkeypatch.setattr(masked_lm, "KNOWN", 0.0)
    with pytest.raises(MnemosError, match="had not learned"):
        masked_lm.train_masked_lm(TOY)
    assert not masked_lm.folder(TOY, 0).exists()


def test_training_lowers_the_loss_and_gives_the_same_model_each_time():
    recipe = masked_lm.TinyMaskedLM(Shape(SIZE, layers=1), steps=2, rows=24, falling=0.01, rate=0.1)
    prompts, answers = masked_lm.texts(24, seed=0)
    hidden = masked_lm.masks(24, torch.Generator().manual_seed(0))

    def loss(model):
        with torch.no_grad():
            logits = model(torch.cat([prompts, answers.masked_fill(hidden, model.mask)], 1))[:, masked_lm.PROMPT :]
        return torch.nn.functional.cross_entropy(logits[hidden], answers[hidden]).item()

    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        model = MaskedLM(recipe.shape)
        before = loss(model)
        losses.append(masked_lm.fit(model, recipe, 0))
        assert loss(model) < before - 0.01
    assert losses[0] == losses[1]
