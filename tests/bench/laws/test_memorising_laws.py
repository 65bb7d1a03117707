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
    assert laws.summary(result)[1] == ["recognition", "arXiv 2303.17557", 3, 2, 1, 0, 1, "-", "2"]
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


def test_the_entropy_of_prose_is_that_of_its_names_and_wordings():
    texts = language.take(language.prose("entropy"), 2000)
    tokens = sum(len(language.coded(text)) - 1 for text in texts) / len(texts)
    nats = (
        math.log(4 * 3) + 2 * math.log(3) + 7 * math.log(70)
    )  # two of four relations, three wordings, seven syllables
    assert repetition.entropy() == pytest.approx(nats / tokens, rel=0.01)


def test_repeats_harm_what_is_above_the_entropy():
    def figures(text, copies):
        cells = zip(repetition.TIMES, text, copies, strict=True)
        of = {str(n): {"loss": [t], "copying": [c], "warned": [float(n == 64)]} for n, t, c in cells}
        return {str(share): of for share in repetition.SHARES}

    found = repetition.report(figures((2.2, 2.2, 2.5, 2.4, 2.3), (0.01, 0.02, 0.05, 0.04, 0.03)))["claims"]
    assert [claim["seen"] for claim in found] == ["yes", "yes", "yes"]
    found = repetition.report(figures((2.2, 2.2, 2.5, 2.6, 2.7), (0.01, 0.01, 0.01, 0.01, 0.01)))["claims"]
    assert [claim["seen"] for claim in found] == ["no", "no", "no"]


def test_facts_come_by_in_the_same_words_or_in_others_by_turns():
    facts = [acquisition.Fact(who, "home", "Koko", 0, 0) for who in ("Bafade", "Dodidu")]
    told = {step: acquisition._met("other words", facts, [8, 16, 24], step) for step in range(30)}
    assert {step for step, of in told.items() if of} == {8, 16, 24}
    assert told[8] == told[24] == [fact.statement(0) for fact in facts]
    assert told[16] == [fact.statement(1) for fact in facts]  # never the one that is asked
    assert acquisition._met("same words", facts, [8, 16], 16) == told[8]


def test_a_gain_is_less_that_of_facts_never_met(monkeypatch):
    monkeypatch.setattr(acquisition, "EACH", 2)
    monkeypatch.setattr(acquisition, "_Question", lambda facts, t: lambda model: next(asked))
    trainer = SimpleNamespace(model=None, steps=0, step=lambda ids: None)
    world = SimpleNamespace(values={"home": ["Koko"]}, sentences=lambda count, seed: ["x lives in Koko ."])
    times = [0, 4, 12, 20]  # before anything, before the exposure, a window after it, a lag after it
    drift = {0: 0.0, 4: 0.5, 12: 0.5, 20: 1.0}
    asked = iter([[drift[at] + (2.0 if at > 4 else 0.0)] * 2 + [drift[at]] * 2 for at in times for _ in range(2)])
    found = acquisition._gains(trainer, world, {"once": [4], "never": []}, 1, 0, (8, 16))
    assert found == {f"once {t}": {0: 0, 4: 0, 12: 2, 20: 2} for t in (0, acquisition.NEVER)}


def test_what_is_left_of_a_gain_is_read_and_where_its_line_ends():
    met, gains = [0, 8], {0: 0.0, 8: 1.0, 16: 3.0} | {8 + lag: 4 - math.log(lag) / 2 for lag in acquisition.LAGS}
    found = acquisition._read(met, gains)
    assert found["before"] == {"0": 0.0, "1": 1.0}
    assert found["jump"] == pytest.approx((1 + gains[16] - 1) / 2)
    row = {"left": {lag: [v] for lag, v in found["left"].items()}, "peak": [found["peak"]]}
    assert acquisition._decay(row, 0).r2 == pytest.approx(1)
    assert acquisition._ends(row) == pytest.approx(math.exp(8))


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
