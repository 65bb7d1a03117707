"""The benchmarks of single parts: small runs show what their pages say."""

import json
import random

import pytest

from mnemos import Mnemos
from mnemos.bench.progress import SILENT
from mnemos.bench.text import answer_cache, cognition, hops, layers, memorag, structures, triples


@pytest.fixture(scope="module")
def clinc(tmp_path_factory):
    """A folder like that of CLINC150: two domains of three intents, ten questions each."""
    root = tmp_path_factory.mktemp("clinc")
    intents = {"bank": ["pay", "block", "open"], "chat": ["hello", "joke", "age"]}
    (root / "domains.json").write_text(json.dumps(intents))
    for half in ("train", "test"):
        rows = [
            {"text": f"please {intent} {word} for {half}", "label": intent}
            for names in intents.values()
            for intent in names
            for word in ("it", "this", "that", "now", "today", "soon", "later", "once", "again", "here")
        ]
        for name, lines in (
            (half, rows),
            (f"oos_{half}", [{"text": f"strange {i}", "label": "oos"} for i in range(5)]),
        ):
            (root / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return root


def test_rules_by_category_serve_more_than_one_threshold_within_the_share(clinc, monkeypatch):
    monkeypatch.setattr(answer_cache, "THRESHOLDS", (0.6, 0.9, 0.98))
    monkeypatch.setattr(answer_cache, "TIMES", (0.25, 30.0))
    result = answer_cache.run(answer_cache.Options(clinc, seeds=1, room=400, embedder="hashing:256"), SILENT)
    ours, one = result["ways"][answer_cache.OURS], result["ways"][answer_cache.ALL]
    assert ours["right"] >= one["right"]
    assert answer_cache.bad_share(ours) <= 0.03
    assert set(result["categories"]) == {"bank", "chat", "out of scope", *answer_cache.TEMPLATES}
    assert [len(row) for row in answer_cache.table(result)] == [5] * 6
    assert len(answer_cache.categories(result)) == 9


def test_an_answer_is_stale_once_what_it_says_has_changed():
    asked = [a for a in answer_cache.made("test", 0) if a.category == "weather"]
    versions = {}
    for a in asked:
        versions.setdefault(a.meaning, set()).add(a.answer)
    assert max(map(len, versions.values())) > 3
    things = {half: {a.meaning for a in answer_cache.made(half, 0)} for half in ("train", "test")}
    assert not things["train"] & things["test"]


def test_the_controller_beats_every_fixed_threshold_where_use_shifts():
    rows = cognition.feedback([0], 2_000)
    assert rows["adaptive"]["worth"] > 1.2 * max(row["worth"] for name, row in rows.items() if name != "adaptive")


def test_whitened_keys_bring_back_what_values_as_keys_confuse():
    rows = cognition.keys([0])
    assert rows["0"]["value as key"] > 0.95
    assert rows["0.9"]["whitened"] > 0.95
    assert rows["0.9"]["value as key"] < 0.1
    assert rows["0.9"]["pattern-separated"] > 0.25


def test_layers_beat_every_single_rate_and_use_keeps_a_twin():
    result = layers.run(layers.Options(seeds=1, questions=80), SILENT)
    ways = result["ways"]
    assert ways["layers"]["5"] > max(row["5"] for name, row in ways.items() if name != "layers")
    assert result["twins"]["unused"] < 60
    assert (result["twins"]["used once a week for a quarter"] or 1_000) > 3 * result["twins"]["unused"]


def test_clues_find_what_a_question_names_by_other_words(tmp_path):
    texts, questions = memorag.world(random.Random(0))
    with Mnemos(tmp_path, embedder="none") as memory:
        for kind, least in (("implicit", 0.8), ("explicit", 0.95)):
            found = memorag.summary(memorag.ask(memory, kind, texts, questions[kind][:12]))["recall"]
            assert found["clues"] >= least
            assert found["clues"] >= found["feedback"]
            assert (found["bm25"] == 0) == (kind == "implicit")


def test_triples_find_misspelt_names_and_a_change_leaves_the_others(monkeypatch):
    monkeypatch.setattr(triples, "SYSTEMS", ("memllm", "bm25"))
    result = triples.run(triples.Options(seeds=1, people=8), SILENT)
    for form in triples.FORMS:
        assert result["names"][form]["match"] >= 0.9
        assert result["names"][form]["memllm"]["5"] >= 0.9
    assert result["names"]["as told"]["memllm"]["1"] == 1
    assert result["changed"]["memllm"] == {"new": 1, "kept": 1}


def test_each_structure_says_of_which_texts_it_is_made_and_noise_hides_no_atomic_fact(tmp_path):
    facts, _ = hops.base_of_facts(0, 40, 3)
    texts = [(fact, None) for fact in facts[:200]]
    for make in structures.MAKERS.values():
        units = make(texts)
        assert all(set(sources) <= set(range(len(texts))) for _, sources in units)
    assert [sources for _, sources in structures.atomic(texts[:2])] == [(0,), (1,)]
    assert structures.chunks(texts)[1][1] == (4, 5, 6, 7)
    asked = [(text, {0}) for text, _ in texts[:1]]
    with Mnemos(tmp_path, embedder="none") as memory:
        found = structures.search(memory, "s", texts[:60], asked)
    assert found["atomic facts"]["single"] == [1.0]
    assert set(found) == set(structures.STRUCTURES)
