"""WindowKV: windows are kept or evicted whole, and layers of a group hold the same."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation.forget.window_task import TaskClassifier
from mnemos.activation.forget.windowkv import WindowKV
from mnemos.activation.method import CacheMethod
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import tasks
from mnemos.errors import InvalidInput


@pytest.mark.parametrize("task", ["localise", "aggregate"])
def test_a_window_has_the_mean_of_its_better_half_or_of_all(look, naive, task):
    view = look(held=70, queries=70)
    votes = naive(view)[:, :, :, -1].mean((1, 2))
    score = WindowKV(size=4, task=task)(view)[:, 0]
    for row in range(2):
        for first in range(0, 69, 4):
            tokens = sorted(votes[row, first : min(first + 4, 69)].tolist(), reverse=True)
            tokens = tokens[:2] if task == "localise" else tokens
            expected = sum(tokens) / len(tokens)
            assert torch.allclose(score[row, first : min(first + 4, 69)], torch.tensor(expected), atol=1e-5)


def test_whole_windows_and_the_last_token_are_kept(after):
    cache = after(CacheMethod(WindowKV(size=4, suffix=1), prompt=13))
    kept = cache.layers[0].groups[0].store.entries.positions()[0, 0].tolist()
    assert kept[-1] == 39
    windows = [sum(k // 4 == window for k in kept[:-1]) for window in range(10)]
    assert sum(0 < n < min(4, 39 - 4 * window) for window, n in enumerate(windows)) <= 1  # where the budget ends


def test_layers_of_a_group_hold_what_the_first_chose(after):
    grouped, alone = (
        after(CacheMethod(WindowKV(size=4, group=3), prompt=13)),
        after(CacheMethod(WindowKV(size=4), prompt=13)),
    )
    positions = [[layer.groups[0].store.entries.positions() for layer in cache.layers] for cache in (grouped, alone)]
    assert all(torch.equal(positions[0][0], other) for other in positions[0][1:])
    assert torch.equal(positions[0][0], positions[1][0])
    assert not all(torch.equal(positions[1][0], other) for other in positions[1][1:])


def test_facts_of_several_tokens_stay_whole(small_model, answered):
    task = tasks.records(12, 64, 4, 5).known()
    found = {
        name: answered(small_model, get_preset(name).at_share(0.125), task)
        for name in ("windowkv", "tova", "sliding-window")
    }
    assert found["windowkv"] > found["tova"] + 0.2
    assert found["windowkv"] > found["sliding-window"]


def test_an_unknown_task_is_refused():
    with pytest.raises(InvalidInput):
        WindowKV(task="sum")


def test_a_classifier_chooses_for_each_row(llama, ids, read_in, positions):
    def by_first(row):
        assert len(row) == 7
        return "aggregate" if int(row[0]) == int(ids[1, 33]) else "localise"

    def kept(**options):
        return positions(read_in(llama, CacheMethod(WindowKV(size=4, **options), prompt=13), ids, (40,))[0])

    mixed, local, whole = kept(classifier=by_first, instruction=7), kept(), kept(task="aggregate")
    assert torch.equal(mixed[0], local[0])
    assert torch.equal(mixed[1], whole[1])
    assert not torch.equal(local, whole)


def test_the_classifier_learns_what_tells_instructions_apart(llama):
    """Tokens 10 to 19 stand in instructions of one task, 20 to 29 in those of the other, others in both."""
    rng = torch.Generator().manual_seed(4)

    def instructions(first, count):
        own, other = (torch.randint(low, low + 10, (count, 4), generator=rng) for low in (first, 60))
        return list(torch.cat((own, other), 1))

    examples = {"localise": instructions(10, 20), "aggregate": instructions(20, 20)}
    classify = TaskClassifier.fit(llama, examples)
    for first, task in ((10, "localise"), (20, "aggregate")):
        assert sum(classify(row) == task for row in instructions(first, 20)) >= 18
    with pytest.raises(InvalidInput, match="both tasks"):
        TaskClassifier.fit(llama, {"localise": examples["localise"]})
