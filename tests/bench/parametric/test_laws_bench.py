"""`mnemos bench laws`: its language, its tables, and that parts are measured one at a time."""

import json
from types import SimpleNamespace

import pytest

from mnemos.bench import run
from mnemos.bench.parametric import laws
from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.bench.parametric.memorising import language
from mnemos.bench.parametric.memorising.claims import Claim, Panel, listed, reported, said, verdict
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
    }
    result = {"parts": {"recognition": part}}
    assert laws.summary(result)[1] == ["recognition", "arXiv 2303.17557", 2, 1, 0, 1, "2"]
    assert laws.claims("recognition", result)[1:] == [["s", "no", "0.1"], ["t", "yes", "1"]]
    assert laws.claims("clashes", result)[1:] == [["not measured yet", "–", "–"]]
