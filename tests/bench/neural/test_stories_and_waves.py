"""Stories that are read a few facts at a time, and waves that are learned point by point."""

import pytest
import torch

from mnemos.bench.neural import slot_perception, slot_synthetic
from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.neural.slot_perception import AT_ONCE, WIDTH
from mnemos.bench.neural.slot_synthetic import POINTS, SEGMENTS, waves


class Once:
    seeds = 1


def test_the_transformer_has_the_weights_of_the_memory_that_it_is_compared_with():
    for rows in (slot_perception.ROWS, slot_perception.TWICE):
        sizes = {name: sum(p.numel() for p in make().core.parameters()) for name, make in rows.items()}
        (baseline,) = (size for name, size in sizes.items() if name.startswith("transformer"))
        assert baseline == pytest.approx(sizes["PMI"], rel=0.02)


def test_a_story_in_two_passes_is_read_again_with_what_the_first_pass_wrote():
    model = slot_perception.TWICE["PMI"]()
    read = []
    model.core.register_forward_pre_hook(lambda _, inputs: read.append(inputs))
    model(torch.rand(2, 14, slot_perception.WORDS), torch.rand(2, slot_perception.WORDS))
    (x, state), (again, written) = read
    assert x.shape == again.shape == (2, 15, WIDTH)
    assert not torch.equal(x, again)
    assert state[:, 1:].abs().sum() == 0
    assert written[:, 1:].abs().sum() > 0


def test_stories_are_read_in_segments_and_wrong_answers_are_counted_by_age(monkeypatch):
    monkeypatch.setattr(slot_perception, "STEPS", 2)
    monkeypatch.setattr(slot_perception, "STORIES", 60)
    monkeypatch.setattr(slot_perception, "KNOWN", 40)
    monkeypatch.setattr(slot_perception, "RATES", (0.003,))
    monkeypatch.setattr(slot_perception, "ROWS", {"PMI": slot_perception.ROWS["PMI"]})
    slot_perception.pool.cache_clear()
    model = slot_perception.ROWS["PMI"]()
    read = []
    model.core.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape))
    facts, question = (part[:3] for part in slot_perception.pool(1, 0)[:2])
    model(facts, question)
    assert read == [(3, AT_ONCE, WIDTH)] * 7 + [(3, 1, WIDTH)]
    row = slot_perception.perception(Once)["PMI"]
    assert 0 <= row["wrong, from the first third %"] <= 1
    slot_perception.pool.cache_clear()


def test_a_wave_shows_each_value_with_the_next_point():
    segments = waves(50, rng(0), rare=0.0)
    assert len(segments) == SEGMENTS
    inputs, values = (torch.cat(parts, 1) for parts in zip(*segments, strict=True))
    assert inputs.shape == (50, SEGMENTS * POINTS, 3)
    torch.testing.assert_close(inputs[:, 1:, 2], values[:, :-1])
    torch.testing.assert_close(inputs[:, 1:, 1], inputs[:, :-1, 0])
    x, first = inputs[..., 0], torch.stack([inputs[..., 0].sin(), inputs[..., 0].cos()], -1)
    fit = torch.linalg.lstsq(first, values[..., None]).solution  # of one frequency: a sine of its own size and phase
    torch.testing.assert_close((first @ fit)[..., 0], values, atol=1e-4, rtol=1e-3)
    assert x.abs().max() < 3.15


def test_ways_to_learn_waves_are_measured(monkeypatch):
    monkeypatch.setattr(slot_synthetic, "EPISODES", 2)
    monkeypatch.setattr(slot_synthetic, "LOOK", 2)
    monkeypatch.setattr(slot_synthetic, "RATES", (0.003,))
    rows = slot_synthetic.synthetic(Once)
    assert list(rows) == list(slot_synthetic.KINDS)
    assert [name for name, row in rows.items() if "cosine" in row] == ["each segment, predicted gradients"]
    assert all(row["batches to the goal"] == 2 for row in rows.values())
