"""Answers from a cache: what is counted, and that one question does not disturb another."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from mnemos.bench import registry, run
from mnemos.bench.kv import answers, tasks, tiny_models


class Oracle:
    """Instead of a model: it says what followed a token where that token first came; its "cache" is a list."""

    device = torch.device("cpu")

    def __call__(self, ids, past_key_values, use_cache, logits_to_keep=0):
        past_key_values.ids = torch.cat([past_key_values.ids, ids], 1) if past_key_values.ids is not None else ids
        following = [[self.after(row, i) for i in asked] for row, asked in zip(past_key_values.ids, ids, strict=True)]
        return SimpleNamespace(logits=torch.nn.functional.one_hot(torch.tensor(following), 101).float())

    def after(self, row, token):
        at = row.tolist().index(token.item())
        return row[at + 1].item() if at + 1 < len(row) else 0


class Text:
    """A cache that holds the text itself."""

    def __init__(self):
        self.ids = None

    def batch_repeat_interleave(self, repeats):
        self.ids = self.ids.repeat_interleave(repeats, 0)


@pytest.mark.parametrize(("name", "make"), list(tasks.TASKS.items()))
def test_who_looks_up_what_followed_is_always_right(name, make):
    task = make(10, 40, seed=1)
    assert answers.accuracy(Oracle(), task, Text) == 1
    assert answers.accuracy_in_turn(Oracle(), task, Text) == [1.0] * task.questions.shape[1]


def test_an_answer_with_one_wrong_token_is_wrong():
    task = tasks.records(10, 64, 4, seed=1)
    spoiled = task.evidence[3, 2, -1]  # the last value of the third question about the fourth context
    task.context[3, spoiled] = 99
    assert answers.accuracy(Oracle(), task, Text) == pytest.approx(39 / 40)
    assert answers.accuracy_in_turn(Oracle(), task, Text) == pytest.approx([1, 1, 0.9, 1])


def test_a_question_asked_alone_is_answered_as_if_the_others_were_not_there():
    torch.set_num_threads(1)
    model = tiny_models.build(tiny_models.TINY_MODELS["recall"], seed=0).eval()
    task = tasks.records(4, 48, 3, seed=0)
    with torch.no_grad():
        for k in range(3):
            ids = torch.cat([task.context, task.questions[:, k], task.answers[:, k]], 1)
            expected = (model(ids).logits[:, -4:-1].argmax(-1) == task.answers[:, k]).all(-1)
            cache = DynamicCache()
            answers.prefill(model, cache, task.context)
            assert torch.equal(answers.ask(model, cache, task.questions[:, k], task.answers[:, k]), expected)
            assert cache.get_seq_length() == 48 + 1 + 3


def test_a_cache_of_another_kind_is_used(small_cache_calls):
    model = tiny_models.build(tiny_models.TINY_MODELS["recall"], seed=0).eval()
    answers.accuracy(model, tasks.key_value(3, 32, 4, seed=0), small_cache_calls.new)
    assert small_cache_calls.rows == [3, 12]
    answers.accuracy_in_turn(model, tasks.key_value(3, 32, 4, seed=0), small_cache_calls.new)
    assert small_cache_calls.rows[2:] == [3] * 5


@pytest.fixture
def small_cache_calls():
    seen = SimpleNamespace(rows=[])

    class Layer(DynamicLayer):
        def update(self, keys, values, *args, **kwargs):
            seen.rows.append(len(keys))
            return super().update(keys, values, *args, **kwargs)

    class Cache(DynamicCache):
        def __init__(self):
            super().__init__()
            self.layers = [Layer(), DynamicLayer()]

    seen.new = Cache
    return seen


def test_the_benchmark_writes_what_its_table_shows(monkeypatch, tmp_path):
    toy = tiny_models.TinyModel(hidden=32, width=16, mlp=32, shortest=20, longest=48, finish=1, rows=16)
    monkeypatch.setitem(tiny_models.TINY_MODELS, "toy", toy)
    monkeypatch.setattr(tiny_models, "FOUND", 100.0)
    monkeypatch.setenv("MNEMOS_CACHE", str(tmp_path))
    result = run.run_benchmark("train-models", out=tmp_path / "kv", kind=["toy"], seed=2)
    assert result["command"] == "mnemos bench train-models --kind toy --seed 2"
    scores = result["kinds"]["toy"]["accuracy"]
    assert list(scores) == ["40", "64"]
    assert set(scores["64"]) == {*tasks.TASKS, "key-value-known", "key-value-in-turn"}
    assert all(0 <= score < 0.5 for score in scores["64"].values())  # it was hardly trained
    header, *rows = registry.get("train-models").tables["train-models"](result)
    assert header[:7] == ["model", "parameters", "steps", "processor time, s", "context", "key value", "records"]
    assert {row[0] for row in rows} == {"toy"}
