"""Readers, and the stage that an answer failed at."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mnemos.bench.text import arms
from mnemos.bench.text.reader import (
    ModelReader,
    Passage,
    ScriptedReader,
    blame,
    mentioned,
    right,
    spoken,
)
from mnemos.bench.text.task import Expected, Haystack, Question
from mnemos.errors import MnemosError

GYM = Expected(("Core Lab",), ("Core Lab", "Pulse Club", "Core"), ("Ana",))


def said(id, day, text, speaker="Ana"):
    return Passage(id, text, datetime(2024, 1, day, tzinfo=UTC), speaker)


def asking(expected=GYM, gold=("b",)):
    return Question("q", "Which gym does Ana go to?", {"turn": gold}, "current", "made", expected=expected)


def test_the_newest_or_the_best_ranked_passage_about_the_subject_answers():
    shown = [
        said("a", 1, "I train at Pulse Club."),
        said("b", 5, "Now I train at Core Lab."),
        said("c", 9, "Core", "Ben"),
    ]
    assert ScriptedReader().answer(asking(), shown) == "Core Lab"
    assert ScriptedReader(newest=False).answer(asking(), shown) == "Pulse Club"
    assert ScriptedReader().answer(asking(), shown[2:]) == ""


def test_a_value_within_a_longer_one_or_within_a_word_is_not_named():
    assert mentioned("From Core Lab to Pulse Club", ("Core", "Core Lab", "Pulse Club")) == ["Core Lab", "Pulse Club"]
    assert mentioned("Corelli", ("Core",)) == []


def test_an_answer_is_right_if_it_names_the_value_and_nothing_is_right_where_nothing_answers():
    assert right("She goes to core lab.", GYM)
    assert not right("", GYM)
    assert right("", Expected())
    assert not right("Core Lab", Expected())


@pytest.mark.parametrize(
    ("answer", "stored", "shown", "stage"),
    [
        ("Core Lab", "b", "b", "right"),
        ("", "", "", "write"),
        ("Pulse Club", "ab", "a", "retrieval"),
        ("Pulse Club", "ab", "ab", "reader"),
    ],
)
def test_a_wrong_answer_is_that_of_the_first_stage_that_failed(answer, stored, shown, stage):
    assert blame(answer, GYM, ("b",), set(stored), set(shown)) == stage


def test_an_answer_to_what_nothing_answers_is_the_fault_of_what_was_shown():
    assert blame("Core", Expected(), (), {"a"}, {"a"}) == "retrieval"
    assert blame("Core", Expected(), (), {"a"}, set()) == "reader"


def test_a_reply_is_read_as_json_in_a_fence_or_as_it_is():
    assert spoken('{"answer": "Core Lab"}') == "Core Lab"
    assert spoken('```json\n{"answer": ""}\n```') == ""
    assert spoken("Core Lab\n") == "Core Lab"


def test_an_endpoint_that_does_not_answer_is_named():
    with pytest.raises(MnemosError, match="tiny at http://127.0.0.1:9"):
        ModelReader("http://127.0.0.1:9/v1", "tiny", timeout=2).answer(asking(), [])


def test_arms_show_nothing_everything_what_fits_what_is_found_and_the_evidence():
    messages = [
        {"id": name, "content": text, "speaker": "Ana", "at": f"2024-01-0{day}"}
        for name, day, text in (
            ("a", 1, "I train at Pulse Club."),
            ("b", 2, "I like the tides."),
            ("c", 3, "Now Core Lab."),
        )
    ]
    with arms.told(Haystack("h", messages, []), "none") as space:
        shower = arms.Shower(space, "turn", k=1, window=12)
        asked = replace(asking(gold=("a",)), text="Where do I train?")
        shown = {
            arm: [p.id for p in shower.show(arm, asked)] for arm in arms.ARMS if arm != "vectors"
        }  # needs an embedder
    assert shown["nothing"] == []
    assert shown["everything"] == ["a", "b", "c"]
    assert shown["window"] == ["c"]
    assert shown["oracle"] == ["a"]
    assert shown["words"] == shown["mnemos"] == ["a"]
