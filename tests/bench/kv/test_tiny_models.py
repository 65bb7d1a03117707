"""The small model: its training moves, its folder is whole or not there, and its outlier channels change nothing."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import AutoModelForCausalLM

from mnemos.bench.kv import checkpoints, tasks, tiny_models
from mnemos.errors import InvalidInput, MnemosError

TOY = tiny_models.TinyModel(hidden=32, width=16, mlp=32, shortest=20, longest=24, finish=1, rows=16)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Looking up counts as learnt after the first step, so that `finish` steps follow it."""
    monkeypatch.setattr(tiny_models, "FOUND", 100.0)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """A recipe of two steps, and the calls that trained by it."""
    monkeypatch.setitem(tiny_models.TINY_MODELS, "toy", TOY)
    monkeypatch.setenv("MNEMOS_CACHE", str(tmp_path))
    trained = []
    monkeypatch.setattr(tiny_models, "fit", lambda *args, fit=tiny_models.fit: trained.append(args) or fit(*args))
    return trained


def logits(model):
    with torch.no_grad():
        return model(tasks.key_value(4, 40, 5, seed=0).context).logits


def test_training_lowers_the_loss_and_gives_the_same_model_each_time():
    def loss(model):
        parts = tiny_models.batch(TOY, 24, random.Random(3), tasks.generator(3))
        with torch.no_grad():
            return tiny_models.loss_of(model, parts).item()

    models, losses = [], []
    for _ in range(2):
        models.append(tiny_models.build(TOY, seed=3))
        before = loss(models[-1])
        losses.append(tiny_models.fit(models[-1], replace(TOY, rate=0.01), seed=3))
        assert loss(models[-1]) < before - 0.1
    assert losses[0] == losses[1]
    assert torch.equal(logits(models[0]), logits(models[1]))


def test_building_leaves_the_random_numbers_of_the_process_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    tiny_models.build(TOY, seed=3)
    assert torch.equal(torch.rand(3), expected)


def test_a_model_is_trained_once_and_read_back_exactly(toy):
    first, steps = tiny_models.train_tiny_model("toy", progress=(done := []).append), len(done)
    again = tiny_models.train_tiny_model("toy")
    assert steps == 1 + TOY.finish
    assert len(toy) == 1
    assert torch.equal(logits(first.model), logits(again.model))
    assert again.record["parameters"] == sum(p.numel() for p in again.model.parameters())
    assert again.record["steps"] == 1 + TOY.finish
    assert not any(p.requires_grad for p in again.model.parameters())
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(first.path).eval()), logits(first.model))


def test_what_is_saved_is_what_was_trained(tmp_path):
    model = tiny_models.build(TOY, seed=1)
    checkpoints.save(model, {"kind": "toy"}, tmp_path / "model", model.config.save_pretrained)
    assert torch.equal(logits(checkpoints.load(tmp_path / "model", tiny_models.untrained).model), logits(model))
    assert [p.name for p in tmp_path.iterdir()] == ["model"]  # nothing half-written beside it


def test_another_seed_or_recipe_is_another_folder(toy, monkeypatch):
    folders = {tiny_models.folder("toy", 0), tiny_models.folder("toy", 1)}
    monkeypatch.setitem(tiny_models.TINY_MODELS, "toy", replace(TOY, finish=4))
    assert len(folders | {tiny_models.folder("toy", 0)}) == 3


@pytest.mark.parametrize("damage", ["truncated", "changed", "no record", "half a record"])
def test_a_damaged_folder_is_told_of_and_trained_again(toy, damage):
    path = tiny_models.train_tiny_model("toy").path
    weights, record = path / "model.safetensors", path / "training.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "changed":
        weights.write_bytes(weights.read_bytes()[:-4] + b"\1\2\3\4")
    elif damage == "no record":
        record.unlink()
    else:
        record.write_text(record.read_text()[:40])
    with pytest.warns(UserWarning, match="is damaged"):
        again = tiny_models.train_tiny_model("toy")
    assert len(toy) == 2
    assert torch.equal(logits(again.model), logits(tiny_models.train_tiny_model("toy").model))
    assert len(toy) == 2


def test_a_killed_training_leaves_nothing(toy, tmp_path):
    def kill(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny_models.train_tiny_model("toy", progress=kill)
    assert not tiny_models.folder("toy", 0).exists()


def test_a_model_that_did_not_learn_is_not_kept(toy, monkeypatch):
    monkeypatch.setattr(tiny_models, "FOUND", 1.0)
    monkeypatch.setitem(tiny_models.TINY_MODELS, "toy", replace(TOY, most=4))
    with pytest.raises(MnemosError, match="after 4 steps: try another seed"):
        tiny_models.train_tiny_model("toy")
    assert not tiny_models.folder("toy", 0).exists()


def test_two_that_train_at_once_agree_on_one_folder(tmp_path):
    one, other = (tiny_models.build(TOY, seed) for seed in (1, 2))
    for name, model in (("one", one), ("other", other)):
        checkpoints.save(model, {"kind": name}, tmp_path / "model", model.config.save_pretrained)
    assert checkpoints.load(tmp_path / "model", tiny_models.untrained).record["kind"] == "one"


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"no small model 'gpt'.*recall"):
        tiny_models.train_tiny_model("gpt")


@pytest.mark.parametrize("kind", list(tiny_models.TINY_MODELS))
@pytest.mark.parametrize("scale", [0.1, 30])
def test_outlier_channels_change_the_keys_and_not_the_logits(kind, scale):
    model = tiny_models.build(tiny_models.TINY_MODELS[kind], seed=0).eval()
    changed = tiny_models.with_outliers(model, scale, channel=3)
    assert (logits(model) - logits(changed)).abs().max() < 1e-4
    before, after = (m.model.layers[1].self_attn.k_proj.weight for m in (model, changed))
    ratio = (after / before).view(-1, 32, 64).mean((0, 2))  # by channel of a head
    expected = torch.ones(32)
    expected[[3, 19]] = scale
    assert torch.allclose(ratio, expected)


def test_outliers_that_make_no_sense_are_refused():
    model = tiny_models.build(TOY, seed=0)
    with pytest.raises(InvalidInput, match="RoPE pairs 0 to 7"):
        tiny_models.with_outliers(model, 10, channel=8)
    with pytest.raises(InvalidInput, match="scale is 0"):
        tiny_models.with_outliers(model, 0)


def test_shorter_sequences_are_padded_without_touching_the_loss():
    model = tiny_models.build(TOY, seed=0)
    short, long = tasks.key_value(4, 20, 3, seed=1), tasks.passkey(4, 40, seed=1)
    apart = [tiny_models.loss_of(model, [(task, 0.0)]).item() * n for task, n in ((short, 12), (long, 20))]
    together = tiny_models.loss_of(model, [(short, 0.0), (long, 0.0)]).item()
    assert together == pytest.approx(sum(apart) / 32, abs=1e-5)


def test_the_record_names_the_recipe(toy):
    record = json.loads((tiny_models.train_tiny_model("toy").path / "training.json").read_text())
    assert record["recipe"]["longest"] == 24
    assert record["kind"] == "toy"
