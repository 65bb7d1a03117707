"""Scores by attention, against loops: H2O, TOVA, SnapKV."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.forget.tova import Tova
from mnemos.activation.method import CacheMethod
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


def test_h2o_adds_up_what_each_entry_got_from_every_query(look, naive):
    view = look()
    score = H2O()
    score.observe(view)
    once = naive(view).sum((2, 3))
    assert torch.allclose(score(view), once, atol=1e-5)
    score.observe(view)
    assert torch.allclose(score(view), 2 * once, atol=1e-5)
    seen_by = torch.arange(12, 0, -1)
    assert torch.allclose(H2O(mean=True)(view), 2 * once / seen_by, atol=1e-5)


def test_h2o_keeps_a_recent_half_and_of_the_rest_the_heaviest(after, entries_of, positions):
    full = after(CacheMethod(H2O(), prompt=1.0))
    kept = after(CacheMethod(H2O(), prompt=10, recent=0.5))
    for layer in range(3):
        heavy = entries_of(full, layer).extra["heavy"][..., :35].topk(5).indices.sort(-1).values
        recent = torch.arange(35, 40).expand(2, 2, -1)
        assert torch.equal(positions(kept, layer), torch.cat((heavy, recent), -1))


def test_h2o_carries_the_sums_of_what_stays(after):
    sizes = (20, *[1] * 20)
    steady = after(CacheMethod(H2O(), prompt=8, decode=8, recent=0.5), sizes).layers[0].groups[0].store.entries
    full = after(CacheMethod(H2O(), prompt=1.0), sizes).layers[0].groups[0].store.entries
    first = steady.positions() < 20  # what stays gets the shares of what went: sums only grow
    held = full.extra["heavy"].gather(2, steady.positions().long())
    assert (steady.extra["heavy"] >= held - 1e-5)[first].all()


def test_tova_ranks_by_the_last_query_over_all_heads(look, naive):
    view = look()
    expected = naive(view)[:, :, :, -1].mean((1, 2))
    assert torch.allclose(Tova()(view), expected[:, None].expand(-1, 2, -1), atol=1e-6)


def test_snapkv_pools_the_votes_of_its_window(look, naive):
    view = look(held=130, queries=130)
    votes = naive(view)[:, :, :, -2:].sum(3).mean(2)  # a 64th of 130 tokens
    score = SnapKV(kernel=5)(view)
    for i in range(128):
        around = votes[..., max(0, i - 2) : min(128, i + 3)].amax(-1) + 1e-3 * votes[..., i]
        assert torch.allclose(score[..., i], around, atol=1e-5)
    assert (score[..., 128:] > score[..., :128].max()).all()


def test_snapkv_refuses_an_even_kernel():
    with pytest.raises(InvalidInput, match="odd"):
        SnapKV(kernel=4)


@pytest.mark.parametrize("name", ["snapkv", "tova"])
def test_a_known_question_is_answered_from_an_eighth(small_model, answered, name):
    task = tasks.key_value(20, 64, 8, 5).known()
    assert answered(small_model, get_preset(name).at_share(0.125), task) == 1.0


def test_attention_does_not_know_what_is_asked_later(small_model, answered):
    task = tasks.key_value(20, 64, 8, 5)
    assert answered(small_model, get_preset("snapkv").at_share(0.125), task) < 0.5
