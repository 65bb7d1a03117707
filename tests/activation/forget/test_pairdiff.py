"""PairDiff: the formula, and what it keeps of facts that nobody has asked for yet."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached
from mnemos.activation.forget.pairdiff import PairDiff
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import accuracy_in_turn


def test_both_sides_count_in_standard_deviations(look):
    view = look()
    score = PairDiff()(view)
    for row in range(2):
        for head in range(2):
            sides = []
            for vectors in (view.entries.keys[row, head], view.entries.values[row, head]):
                mean = sum(v / v.norm() for v in vectors)
                cosines = torch.stack([-(v @ mean) / (v.norm() * mean.norm()) for v in vectors])
                sides.append((cosines - cosines.mean()) / cosines.std(correction=0))
            assert torch.allclose(score[row, head], torch.minimum(*sides), atol=1e-4)


def test_padding_is_ignored(look):
    view, short = look(), look()
    view.entries.valid = torch.ones(2, 2, 12, dtype=torch.bool)
    view.entries.valid[:, :, :5] = False
    short.entries = short.entries.each(lambda t: t[:, :, 5:])
    assert torch.allclose(PairDiff()(view)[..., 5:], PairDiff()(short), atol=1e-5)


@pytest.mark.parametrize(("share", "least"), [(0.5, 0.99), (0.25, 0.95), (0.125, 0.85)])
def test_facts_are_kept_before_they_are_asked_for(small_model, answered, share, least):
    assert (
        answered(small_model, get_preset("pairdiff-coverage").at_share(share), tasks.key_value(25, 64, 8, 9)) >= least
    )


def test_it_keeps_more_than_keydiff(small_model, answered):
    task = tasks.records(25, 64, 4, 9)
    found = {
        name: answered(small_model, get_preset(name).at_share(0.25), task) for name in ("keydiff", "pairdiff-coverage")
    }
    assert found["pairdiff-coverage"] > found["keydiff"] + 0.1


def test_the_second_to_fifth_question_over_a_quarter_are_answered(small_model):
    method = get_preset("pairdiff-coverage").at_share(0.25)
    with attached(small_model):
        turns = accuracy_in_turn(small_model, tasks.key_value(40, 64, 8, 10), lambda: MemoryCache(small_model, method))
    assert min(turns[:5]) >= 0.85
