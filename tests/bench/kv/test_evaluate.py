"""Questions of the benchmark on a real model: what counts as answered, and which contexts there are."""

from __future__ import annotations

import zlib

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mnemos.activation import CacheMethod, MemoryCache, attached  # noqa: E402
from mnemos.bench.kv.evaluate import Measured, Score, answered, answered_at_once, evaluate  # noqa: E402
from mnemos.bench.kv.prose import Prose, prose  # noqa: E402
from mnemos.bench.kv.real import ahead, best  # noqa: E402
from mnemos.bench.kv.recorded import record, replay  # noqa: E402
from mnemos.bench.kv.trials import Ask, RealModel  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402


class Words:
    """A tokenizer whose tokens are words."""

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [3 + zlib.crc32(word.encode()) % 96 for word in text.split()]}


@pytest.fixture(scope="module")
def real():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval().requires_grad_(False)
    told = Prose({"a": [f"Here is sentence {i} of a." for i in range(60)]})
    return RealModel("small", model, Words(), told, length=200)


def read(model, ids, method=None):
    cache = MemoryCache(model, method)
    replay(model, record(model, ids), cache)
    return cache


def said(model, ids, count):
    """Return the model's own answer."""
    for _ in range(count):
        ids = torch.cat((ids, model(ids).logits[:, -1:].argmax(-1)), 1)
    return tuple(ids[0, -count:].tolist())


def test_an_answer_counts_when_it_is_the_models_own(real):
    ids = torch.arange(5, 45)[None]
    questions = [(7, 8, 9), (20,), (30, 31, 32, 33)]
    own = [said(real.model, torch.cat((ids, torch.tensor([q])), 1), 2) for q in questions]
    wrong = (own[1][0], 3 if own[1][1] != 3 else 4)
    asks = [Ask(questions[0], own[0]), Ask(questions[1], wrong), Ask(questions[2], own[2])]
    with torch.no_grad(), attached(real.model):
        assert answered(real.model, read(real.model, ids), asks) == [True, False, True]
        other = 5 if own[0][0] != 5 else 6
        chosen = [Ask(questions[0], (first,), (other, own[0][0])) for first in (own[0][0], other)]
        assert answered(real.model, read(real.model, ids), chosen) == [True, False]


def test_questions_in_turn_are_answered_alike_in_one_call(real):
    ids, asks = torch.arange(5, 45)[None], []
    so_far = ids
    for question in ((7, 8, 9), (20,), (30, 31)):
        so_far = torch.cat((so_far, torch.tensor([question])), 1)
        answer = said(real.model, so_far, 2) if question != (20,) else (6, 6)
        asks.append(Ask(question, answer))
        so_far = torch.cat((so_far, torch.tensor([answer])), 1)
    with torch.no_grad(), attached(real.model):
        cache = read(real.model, ids)
        in_turn = [answered(real.model, cache, [ask])[0] for ask in asks]
        assert answered_at_once(real.model, read(real.model, ids), asks) == in_turn
    assert in_turn[0]
    assert in_turn[2]


def test_every_task_is_measured_and_the_same_again(real):
    tasks = ("facts", "facts-known", "keys", "table", "code", "examples", "loss", "facts-decode", "loss-decode")
    trials = real.trials(tasks, 1)
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(trials, real.trials(tasks, 1), strict=True))
    assert max(trial.ids.shape[1] for trial in trials) <= 200
    full = evaluate(real, CacheMethod(), trials, 1.0)
    assert set(full) == {*tasks, "turns"}
    assert all(score.held == pytest.approx(1, abs=0.1) and score.exact for score in full.values())
    quarter = evaluate(real, "sliding-window", trials, 0.25)
    assert all(score.held < 0.55 for score in quarter.values())  # in steps a window has room to move
    with pytest.raises(InvalidInput, match="facts"):
        real.trials(("fact",), 1)


def test_a_known_question_stands_at_the_end_of_the_context(real):
    for trial in real.trials(("turns",), 1):
        at = trial.ids[0].tolist().index(real.tokens("Question:")[0])
        assert 4 <= trial.ids.shape[1] - at <= 8  # "Question:" and its words
        assert len(trial.asks) == 5
    with pytest.raises(InvalidInput, match="longer"):
        RealModel("small", real.model, real.tokenizer, real.prose, length=60).trials(("facts",), 1)


def test_the_halves_share_no_book(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.txt").write_text(
            f"In this long book {name} this sentence says something of note to us.\n\n" * 60
        )
    halves = [set(prose(tmp_path, half).books) for half in ("report", "development")]
    assert halves == [{"a.txt", "c.txt"}, {"b.txt", "d.txt"}]
    built_in = [set(prose(None, half).books) for half in ("report", "development")]
    assert all(built_in)
    assert not built_in[0] & built_in[1]
    with pytest.raises(InvalidInput, match="two long"):
        prose(tmp_path / "nowhere", "report")


def test_scores_are_means_over_contexts():
    score = Score(
        [
            (0, Measured(1.0, 0.25, 0.1, True)),
            (0, Measured(0.5, 0.25, 0.1, True)),
            (1, Measured(0.25, 0.27, 0.1, False)),
        ]
    )
    assert score.each == [0.75, 0.25]
    assert (score.mean, score.error, score.exact) == (0.5, 0.25, False)
    assert score.held == pytest.approx(0.2567, abs=1e-4)


def cell(*each, held=0.25):
    return {"mean": sum(each) / len(each), "each": list(each), "held": held, "error": 0.0}


RESULT = {
    "shares": [0.25, 0.125], "full": {"facts": cell(0.9, 0.9)},
    "methods": {
        "sliding-window": {"task": "facts", "facts": {"0.25": cell(0.3, 0.3)}},
        "random-eviction": {"task": "facts", "facts": {"0.25": cell(0.1, 0.1)}},
        "good": {"task": "facts", "facts": {"0.25": cell(0.8, 0.6, held=0.12)}},
        "level": {"task": "facts", "facts": {"0.25": cell(0.9, -0.1)}},
        "bad": {"task": "facts", "facts": {"0.25": cell(0.2, 0.2, held=0.4)}},
    },
}  # fmt: skip


def test_methods_are_compared_with_the_best_baseline():
    verdicts = {line[0]: (line[4], line[5], line[6]) for line in ahead(RESULT)[1:]}
    assert verdicts["good"] == ("sliding-window 0.30", "+0.40 ± 0.10", "yes")
    assert verdicts["level"][2] == "level"
    assert verdicts["bad"][2] == "no"
    assert not {"sliding-window", "random-eviction"} & set(verdicts)


def test_the_best_of_a_share_hold_no_more_than_it():
    line = best(RESULT)[1]
    assert line[2].startswith("good 0.70 (0.12), level 0.40")
    assert "bad" not in line[2]
    assert line[3] == "good 0.70 (0.12)"
