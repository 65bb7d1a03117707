"""SCOPE: the prompt's part is frozen, and the generated part has its own schedules."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import MemoryCache, attached
from mnemos.activation.forget.h2o import H2O
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.scope import Scope, scope
from mnemos.activation.forget.tova import Tova
from mnemos.activation.method import CacheMethod
from mnemos.bench.kv import tasks
from mnemos.bench.kv.answers import ask
from mnemos.errors import InvalidInput


def held(llama, ids, method, steps=20):
    """Return what a layer holds of the prompt (20 tokens) and of what follows, after each step."""
    cache, found = MemoryCache(llama, method), []
    with torch.no_grad(), attached(llama):
        llama(ids[:, :20], past_key_values=cache)
        for end in range(21, 21 + steps):
            llama(ids[:, end - 1 : end], past_key_values=cache)
            positions = cache.layers[0].groups[0].store.read(torch.empty(0), cache.tokens_read).positions()
            found.append((positions[positions < 20].view(2, 2, -1), (positions >= 20).sum(-1).unique().tolist()))
    return found


@pytest.mark.parametrize("schedule", ["slide", "adaptive", "discontinuous"])
def test_what_was_kept_of_the_prompt_stays_for_good(llama, ids, schedule):
    found = held(llama, ids, scope(KeyDiff(), 7, 6, recent=2, schedule=schedule, delta=4))
    assert all(torch.equal(prompt, found[0][0]) for prompt, _ in found)
    with torch.no_grad(), attached(llama):
        llama(ids[:, :20], past_key_values=(plain := MemoryCache(llama, CacheMethod(KeyDiff(), prompt=7))))
    assert torch.equal(found[0][0], plain.layers[0].groups[0].store.entries.positions())


def test_the_schedules_hold_what_they_say(llama, ids):
    sizes = {
        schedule: [n for _, n in held(llama, ids, scope(None, None, 6, recent=2, schedule=schedule, delta=4))]
        for schedule in ("slide", "adaptive", "discontinuous")
    }
    assert sizes["slide"] == [[min(step, 6)] for step in range(1, 21)]
    assert sizes["adaptive"] == [[min(step, 3 + step // 4, 6)] for step in range(1, 21)]
    expected, now = [], 0
    for step in range(1, 21):
        now = min(now + 1, 3 + step // 4, 6) if step % 4 == 0 else now + 1
        expected.append([now])
    assert sizes["discontinuous"] == expected


def test_the_most_recent_stay_whatever_the_score(llama, ids):
    def oldest(view):
        return -view.entries.positions().float()

    cache = MemoryCache(llama, CacheMethod(Scope(None, oldest, recent=3), decode=5, separate_budgets=True))
    with torch.no_grad(), attached(llama):
        llama(ids[:, :20], past_key_values=cache)
        for end in range(21, 41):
            llama(ids[:, end - 1 : end], past_key_values=cache)
    kept = cache.layers[0].groups[0].store.entries.positions()[0, 0].tolist()
    assert kept == [*range(20), 20, 21, 37, 38, 39]


def test_prompt_facts_outlast_a_long_output_that_a_shared_budget_would_push_them_out_by(small_model):
    task = tasks.key_value(8, 40, 4, 5).known()
    output = tasks.filler(len(task), 60, tasks.generator(6))[:, 1:]
    found = {}
    for name, method in {
        "scope": scope(Tova(), 8, 8, recent=2),
        "h2o": CacheMethod(H2O(), prompt=16, decode=16, recent=0.5),
        "sliding-window": CacheMethod(prompt=16, decode=16),
    }.items():
        cache = MemoryCache(small_model, method)
        with torch.no_grad(), attached(small_model):
            small_model(task.context, past_key_values=cache)
            for token in output.unbind(1):
                small_model(token[:, None], past_key_values=cache)
            assert cache.held == [[16]] * 2
            right = ask(small_model, cache, task.questions[:, 0], task.answers[:, 0])
        found[name] = float(right.float().mean())
    assert found["scope"] > max(found["h2o"], found["sliding-window"]) + 0.3


def test_a_capacity_below_what_is_recent_is_refused():
    with pytest.raises(InvalidInput):
        scope(None, None, 4, recent=4)
