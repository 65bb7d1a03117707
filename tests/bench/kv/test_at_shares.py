"""Cache methods at equal bytes: unknown names are refused, and what is measured is what is held."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, attached
from mnemos.activation.presets import get_preset
from mnemos.bench.kv import at_shares, tasks
from mnemos.bench.progress import SILENT
from mnemos.errors import InvalidInput, NotFound


def row(task, accuracy, baselines=()):
    return {"task": task, "baselines": baselines, "tasks": {task: {"0.25": {"accuracy": accuracy}}}}


def test_a_method_beats_its_baselines_by_the_margin_over_the_best_of_them():
    rows = {"a": row("topics", 0.9, ("b", "c")), "b": row("topics", 0.7), "c": row("topics", 0.8)}
    assert at_shares.beaten(rows) == {"a": {"task": "topics", "margin": 0.1, "beaten": True}}
    rows["c"]["tasks"]["topics"] = {}
    assert at_shares.beaten(rows) == {}  # a baseline that cannot be that small beats nobody


def test_a_method_with_an_unknown_task_is_refused():
    with pytest.raises(InvalidInput, match="a is registered with the unknown task 'topic': did you mean topics"):
        at_shares.beaten({"a": row("topic", 0.9)})


def test_an_unknown_method_names_its_neighbours(small_model):
    with pytest.raises(NotFound, match="no cache method 'snapkvv': did you mean snapkv"):
        at_shares.compare(small_model, ("snapkvv",), (0.25,), 4, SILENT)


@torch.no_grad()
def test_held_and_peak_are_shares_of_a_full_cache(small_model):
    task = tasks.key_value(4, 64, seed=3)
    with attached(small_model):
        full = at_shares.measure_task(small_model, task, CacheMethod())
        quarter = at_shares.measure_task(small_model, task, get_preset("snapkv").at_share(0.25))
    shares = at_shares.as_shares(quarter, full["bytes"])
    assert full["bytes"] == 4 * 64 * 2 * 2 * 32 * 4  # rows, tokens, layers, keys and values, width, float32
    assert shares["held"] == pytest.approx(0.25, abs=0.02)
    assert 0.5 < shares["peak"] <= 1.0  # one layer is cut after the other
    assert full["accuracy"] > 0.9 > quarter["accuracy"]
