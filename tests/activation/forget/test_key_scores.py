"""Scores by keys alone, against loops: KeyDiff, norms, LagKV."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.knorm import KeyNorm
from mnemos.activation.forget.lagkv import LagKV
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks


def test_keydiff_is_the_cosine_to_the_mean_of_normalised_keys(look):
    view = look()
    score = KeyDiff()(view)
    for row in range(2):
        for head in range(2):
            keys = view.entries.keys[row, head]
            mean = sum(k / k.norm() for k in keys) / 12
            for i, k in enumerate(keys):
                assert abs(float(score[row, head, i]) + float(k @ mean / (k.norm() * mean.norm()))) < 1e-5


def test_padding_is_not_in_the_mean(look):
    view, short = look(), look()
    view.entries.valid = torch.ones(2, 2, 12, dtype=torch.bool)
    view.entries.valid[:, :, :5] = False
    short.entries = short.entries.each(lambda t: t[:, :, 5:])
    assert torch.allclose(KeyDiff()(view)[..., 5:], KeyDiff()(short), atol=1e-6)


def test_a_window_always_stays(look):
    assert KeyDiff(window=3)(look()).topk(3).indices.sort().values.tolist() == [[[9, 10, 11]] * 2] * 2


def test_small_norms_stay(look):
    view = look()
    assert torch.equal(KeyNorm()(view).argmax(-1), view.entries.keys.norm(dim=-1).argmin(-1))


def test_keydiff_keeps_what_no_question_has_asked_for_yet(small_model, answered):
    task = tasks.key_value(20, 64, 8, 6)
    found = {
        name: answered(small_model, get_preset(name).at_share(0.25), task)
        for name in ("keydiff", "random-eviction", "sliding-window")
    }
    assert found["keydiff"] >= 0.75
    assert found["keydiff"] > max(found["random-eviction"], found["sliding-window"]) + 0.3


def test_lagkv_ranks_a_partition_by_how_it_stands_out_of_the_next(look):
    view = look(held=23)  # 4 sinks, 4 partitions of 4 tokens, 3 more
    score = LagKV(lag=4)(view)
    for row in range(2):
        for head in range(2):
            for part in range(3):
                both = torch.zeros(4)
                for vectors in (view.entries.keys[row, head], view.entries.values[row, head]):
                    mine, following = (vectors[4 + 4 * p : 8 + 4 * p] for p in (part, part + 1))
                    low, high = following.min(0).values, following.max(0).values
                    both += ((mine - low) / (high - low)).std(-1).softmax(-1)
                order = both.argsort().argsort() / 4
                assert torch.equal(score[row, head, 4 + 4 * part : 8 + 4 * part], order)
    assert (score[..., :4] >= 1).all()
    assert (score[..., 16:] >= 1).all()
