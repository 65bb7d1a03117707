"""`mnemos bench laws`: its language, its tables, and that parts are measured one at a time."""

import json
import math
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from mnemos.bench import run
from mnemos.bench.laws import acquisition, capacity, language, planted, repetition
from mnemos.bench.laws import run as laws
from mnemos.bench.laws.claims import Claim, Panel, listed, reported, said, verdict
from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.bench.progress import SILENT


def test_texts_are_coded_as_the_tokenizer_of_the_language_does():
    rng = language.random.Random(0)
    texts = [*language.take(language.prose("x"), 3), language.string(rng), "an unknownword ."]
    assert [language.coded(text) for text in texts] == make_tokenizer()(texts).input_ids
    assert language.rows(texts[:3]).shape[0] == 3


def test_a_near_duplicate_differs_in_one_name():
    text = next(language.prose("y"))
    other = language.with_another_value(text, language.random.Random(1))
    assert sum(a != b for a, b in zip(text.split(), other.split(), strict=True)) == 1


def test_claims_and_curves_are_stored_with_the_spread_over_seeds():
    found = reported([Claim("a", "yes", "1")], [Panel("t", "x", "y", {"c": {1: [0.0, 2.0], 4: [1.0, 1.0]}}, log=True)])
    assert found["claims"] == [{"says": "a", "seen": "yes", "figure": "1"}]
    assert found["panels"][0]["curves"]["c"] == {
        "x": [1.0, 4.0],
        "mean": [1.0, 1.0],
        "sd": [pytest.approx(1.41421), 0.0],
    }
    assert (said([1.0, 3.0], 1), said([1.0]), listed({"a": [1.0]})) == ("2.0 ± 1.4", "1.00", "a: 1.00")
    assert [verdict(True), verdict(False, True), verdict(False)] == ["yes", "partly", "no"]


def test_parts_are_measured_one_at_a_time_into_one_result(tmp_path, monkeypatch):
    law = SimpleNamespace(
        measure=lambda seed: {"figure": {"a": seed / 3}, "whole": seed},
        report=lambda figures: reported([Claim("it is so", "no", said(figures["figure"]["a"]))], []),
    )
    monkeypatch.setattr(laws, "experiment", lambda name: law)
    path = tmp_path / "laws.json"
    asked = laws.Options(parts=("recognition",), seeds=(0, 3), cache=tmp_path / "kept")
    first = laws.run(asked, SILENT)
    law.measure = None  # what is kept is not measured again
    assert laws.run(asked, SILENT)["parts"]["recognition"]["figures"] == first["parts"]["recognition"]["figures"]
    assert first["parts"]["recognition"]["figures"] == {"figure": {"a": [0.0, 1.0]}, "whole": [0, 3]}
    run.write({"command": "mnemos bench laws", **first}, path)
    second = {"command": "mnemos bench laws --parts clashes", "parts": {"clashes": {"claims": []}}}
    both = run.with_stored(second, path)
    assert (both["command"], list(both["parts"])) == ("mnemos bench laws", ["recognition", "clashes"])
    again = run.with_stored({"command": "c", "parts": {"recognition": {"claims": []}}}, path)
    assert again["parts"] == {"recognition": {"claims": []}}
    assert run.with_stored(second, tmp_path / "none.json")["parts"] == second["parts"]
    assert json.loads(path.read_text(encoding="utf-8"))["parts"].keys() == {"recognition"}


def test_tables_say_what_was_seen_and_what_was_not():
    part = {
        "claims": [{"says": "s", "seen": "no", "figure": "0.1"}, {"says": "t", "seen": "yes", "figure": "1"}],
        "cpu_seconds": 2,
        "seeds": [0, 1, 2],
    }
    result = {"parts": {"recognition": part}}
    assert laws.summary(result)[1] == ["recognition", "arXiv 2303.17557", 3, 2, 1, 0, 1, "2"]
    assert laws.claims("recognition", result)[1:] == [["s", "no", "0.1"], ["t", "yes", "1"]]
    assert laws.claims("clashes", result) == []


@pytest.mark.parametrize("when", ["throughout", "early"])
def test_planted_texts_are_met_as_often_as_planned_and_when(when):
    plan, met = planted.Plan(when=when), planted.texts(0).met
    steps = list(planted.batches(plan, 0))
    seen = Counter(text for batch in steps for text in batch)
    for by_times in met.values():
        for times, of in by_times.items():
            assert [seen[text] for text in of] == [times] * len(of)
    assert min(map(len, steps)) >= planted.BATCH
    late = {text for batch in steps[len(steps) // 2 :] for text in batch}
    often = {text for by_times in met.values() for text in by_times[128]}
    assert often <= late if when == "throughout" else not often & late


def test_a_share_of_a_training_is_repeats_each_as_often_as_the_others():
    found = [tuple(row) for batch in repetition._batches(0.5, 16, 0) for row in batch.tolist()]
    seen = Counter(tuple(token for token in row if token) for row in found)
    assert sum(n for n in seen.values() if n > 1) == repetition.STEPS * repetition.BATCH // 2
    assert {n for n in seen.values() if n > 1} == {16}


def test_facts_come_by_as_scheduled_one_after_the_other():
    facts = [acquisition.Fact(who, "home", "Koko", 0, 0) for who in ("Bafade", "Dodidu")]
    told = {step: text for step in range(700) for text in acquisition._met("other words", facts, step)}
    first = [step for step, text in told.items() if "Bafade" in text]
    assert first == [12 + 40 * i for i in range(10)]
    assert [step for step, text in told.items() if "Dodidu" in text] == [step + acquisition.EVERY for step in first]
    assert {told[step] for step in first} == {
        facts[0].statement(0),
        facts[0].statement(1),
    }  # never the one that is asked
    assert not any(acquisition._met("never", facts, step) for step in range(700))


def test_a_gain_is_read_at_each_fact_s_own_time_and_less_that_of_facts_never_met():
    count = acquisition.EACH * len(acquisition.SCHEDULES)
    trace = []
    for at in range(0, acquisition.STEPS + 1, acquisition.EVERY):
        drift = [0.01 * at] * count
        for late in range(
            acquisition.EACH
        ):  # "once" is the first schedule: 2 nats at its exposure, of which a half is lost
            since = at - acquisition.EVERY * late - acquisition.SCHEDULES["once"][0]
            drift[late] += 2.0 if 0 < since <= 100 else 1.0 if since > 100 else 0.0
        trace.append(drift)
    found = acquisition._read("once", trace)
    assert (found["jump"], found["peak"], found["left"]["64"], found["left"]["200"]) == pytest.approx((2, 2, 2, 1))


def test_a_model_that_knows_the_list_holds_all_of_its_bits():
    items = torch.tensor(capacity._items(language.random.Random(0), 8))
    assert len({tuple(row) for row in items[:, :2].tolist()}) == 8
    rows = capacity._begun(items, tag=True)
    assert rows[:, :2].tolist() == [[1, capacity.TAG]] * 8

    class Knows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, ids, use_cache):
            return SimpleNamespace(logits=100.0 * torch.nn.functional.one_hot(ids.roll(-1, 1), 200))

    bits = 8 * (math.log2(capacity.NAMES) + 6 * 6)
    assert capacity._ratio(Knows(), items) == pytest.approx(bits)
    assert capacity._ratio(Knows(), items, tag=True) == pytest.approx(bits)
