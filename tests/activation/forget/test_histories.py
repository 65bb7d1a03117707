"""Scores that remember use, against loops: Scissorhands, LRA, LazyEviction."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.lazy import LazyEviction
from mnemos.activation.forget.lra import Lra
from mnemos.activation.forget.probe import attention_probe
from mnemos.activation.forget.scissorhands import Scissorhands, persistence
from mnemos.activation.method import CacheMethod
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


def in_steps(score, view, sizes):
    """Let a score watch the queries of a look in calls of these sizes, as a cache would."""
    from mnemos.activation.base import LayerView
    from mnemos.activation.entries import Entries

    held = Entries(view.entries.keys[:, :, :0], view.entries.values[:, :, :0])
    at, memory = 0, {}
    for size in sizes:
        part = slice(at, at + size)
        new = Entries(view.entries.keys[:, :, part], view.entries.values[:, :, part])
        held = held.joined(new) if at else new
        step = LayerView(0, 3, view.query[:, :, part], held, at, at + size, view.scaling, memory=memory)
        score.observe(step)
        at += size
    return step


@pytest.mark.parametrize("sizes", [(12,), (1,) * 12, (5, 1, 6)])
def test_scissorhands_counts_the_queries_that_gave_less_than_the_uniform_share(look, naive, sizes):
    view = look()
    weights = naive(view).mean(2)
    expected = torch.zeros(2, 2, 12)
    for q in range(12):
        expected[..., : q + 1] += weights[:, :, q, : q + 1] < 1 / (q + 1)
    step = in_steps(Scissorhands(), view, sizes)
    assert torch.equal(-Scissorhands()(step).sub(torch.arange(12) / 13).round(), expected)


def test_scissorhands_forgets_what_is_older_than_its_window(look):
    score = Scissorhands(window=4)
    step = in_steps(score, look(), (1,) * 12)
    assert -score(step).min() <= 4
    assert in_steps(score, look(), (12,)).entries.extra["unimportant-before"].abs().max() == 0


def naive_uses(weights, level, row, head, entry):
    """Return the positions at which an entry was used, its own first."""
    best = weights[row, head].amax(0)
    return [entry, *(q for q in range(entry + 1, 12) if best[q, entry] > (level or 1 / (q + 1)))]


@pytest.mark.parametrize("sizes", [(12,), (1,) * 12, (5, 1, 6)])
@pytest.mark.parametrize("level", [None, 0.2])
def test_uses_and_gaps_are_those_of_a_loop_however_the_text_comes(look, naive, sizes, level):
    view = look()
    weights = naive(view)
    for score in (Lra(level), LazyEviction(level)):
        step = in_steps(score, view, sizes)
        found = score(step)
        if isinstance(score, Lra):
            found = found.floor()  # below the point is what breaks ties
        for row in range(2):
            for head in range(2):
                for entry in range(12):
                    uses = naive_uses(weights, level, row, head, entry)
                    expected = uses[-1] + 1.0
                    if isinstance(score, LazyEviction):
                        gap = max((b - a for a, b in zip(uses, uses[1:], strict=False)), default=1e-6)
                        silent = 12 - expected
                        expected = sum(2 / (1 + math.exp(min(x / gap, 500))) for x in (silent, 1))
                    assert float(found[row, head, entry]) == pytest.approx(expected, abs=2e-4)


def test_what_comes_back_outlasts_what_does_not(look):
    view = look()
    view.entries.memory("last-used")[:] = 5.0
    view.entries.memory("gap")[..., 0] = 6.0
    view.entries.memory("gap")[..., 1] = 1.0
    score = LazyEviction()(view)[0, 0]
    assert score[0] > score[1] > score[2]


def test_importance_persists_on_the_small_model(small_model):
    text = tasks.repeated(10, 64, 1, 4).context
    found = persistence(attention_probe(small_model, text[:, :1], text[:, 1:])[1].weights()[..., 1:])
    assert found > 0.6
    uniform = torch.rand(4, 64, 64, generator=torch.Generator().manual_seed(0)).tril()
    pivotal_to_few = (uniform > 0.999).float()
    assert found > persistence(pivotal_to_few)


@pytest.mark.parametrize("name", ["scissorhands", "lra", "lazyeviction", "h2o"])
def test_a_question_just_read_keeps_its_answer(small_model, answered, name):
    task = tasks.key_value(25, 64, 8, 5).known()
    found = {
        n: answered(small_model, get_preset(n).at_share(0.25), task)
        for n in (name, "random-eviction", "sliding-window")
    }
    assert found[name] > max(found["random-eviction"], found["sliding-window"])


def test_keeping_heavy_hitters_answers_more_than_evicting_them(small_model, answered):
    class Light(H2O):
        def __call__(self, view):
            return -super().__call__(view)

    task = tasks.key_value(25, 64, 8, 5).known()
    heavy, light = (
        answered(small_model, CacheMethod(score(mean=True), prompt=0.25, recent=0.25), task) for score in (H2O, Light)
    )
    assert heavy > light + 0.1


@pytest.mark.parametrize("make", [lambda: Scissorhands(window=0), lambda: Lra(2.0), lambda: LazyEviction(-1.0)])
def test_invalid_settings_are_refused(make):
    with pytest.raises(InvalidInput):
        make()
