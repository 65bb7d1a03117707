"""A book of events, its 36 templates of questions, and what each way of recall makes of them."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.bench.progress import SILENT
from mnemos.bench.text import book, cues
from mnemos.bench.text.book import GROUPS, Cued

BOOK = book.events(60)
QUESTIONS = book.asked(BOOK, each=1)


def test_there_are_36_templates_and_every_one_is_asked():
    templates = book.templates()
    assert len(templates) == len(set(templates)) == 36
    assert {(tuple(name for name, _ in q.cues), q.wanted, q.kind) for q in QUESTIONS} == set(templates)


def test_the_questions_cover_every_number_of_matching_events_and_zero_means_none():
    matching = [sum(q.matches(event) for event in BOOK) for q in QUESTIONS]
    assert {book.group(n) for n in matching} == set(GROUPS)
    assert all(book.chapter(event).count(event.part(name)) == 1 for event in BOOK[:20] for name in book.PARTS)


def test_a_chapter_names_all_parts_and_the_same_seed_gives_the_same_book():
    assert book.events(60) == BOOK != book.events(60, seed=1)
    assert len({(event.date, event.person) for event in BOOK}) == len(BOOK)


def test_the_task_has_the_matching_chapters_as_gold():
    made = book.task(chapters=40, each=1)
    stored = {m["id"]: m["content"] for m in made.haystacks[0].messages}
    for question in made.haystacks[0].questions:
        told = {name for name, text in stored.items() if all(word in text for word in question.expected.about)}
        assert told == set(question.gold["chapter"])
        assert bool(question.expected.answers) == bool(told)


@pytest.fixture(scope="module")
def arms():
    chosen = ("whole book, trusting", "whole book, checking", "words, trusting", "filters")
    options = cues.Options(chapters=(60,), each=1, embedder="none", arms=chosen)
    return cues.run(options, SILENT)["books"]["60"]


def test_filters_find_exactly_what_matches_by_every_cue(arms):
    assert arms["filters"]["groups"] == dict.fromkeys(GROUPS, 1.0)
    assert arms["filters"]["chronology"] == 1
    assert arms["filters"] == arms["whole book, checking"]


def test_ten_best_hallucinate_where_nothing_matches(arms):
    assert arms["words, trusting"]["groups"]["0"] < 0.4
    assert arms["whole book, trusting"]["groups"]["0"] == 0
    assert arms["words, trusting"]["simple_recall"] < 0.7


@given(st.permutations("abcde"))
@settings(max_examples=20)
def test_tau_is_that_of_the_definition(order):
    inversions = sum(order.index(a) > order.index(b) for a, b in combinations("abcde", 2))
    assert cues.tau("abcde", order) == pytest.approx(1 - 2 * inversions / 10)


def test_tau_is_zero_unless_all_elements_are_there_and_f1_is_one_for_nothing_of_nothing():
    assert cues.tau("abc", "ab") == cues.tau("abc", "abcd") == 0
    assert cues.tau("a", "aa") == 1
    assert cues.f1(set(), set()) == 1
    assert cues.f1(set(), {"a"}) == 0
    assert cues.f1({"a", "b"}, {"b", "c"}) == 0.5


def test_a_question_says_all_its_cues():
    asked = Cued((("date", "4 May 2024"), ("person", "Mila Sato")), "place")
    assert asked.text() == "List all places of the events on 4 May 2024 with Mila Sato."
