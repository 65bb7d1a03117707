"""Four abilities: what each needs of a memory, by readers without fault."""

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import abilities
from mnemos.bench.text.abilities import KINDS, AbilityReader
from mnemos.bench.text.reader import Passage, right

MADE = abilities.task(noise=40, seeds=1)


def test_who_is_shown_the_evidence_answers_all_but_labels():
    for haystack in MADE.haystacks:
        every = {m["id"]: Passage(m["id"], m["content"], m["at"]) for m in haystack.messages}
        for question in haystack.questions:
            if gold := question.gold["line"]:
                assert set(gold) <= set(every)
                answer = AbilityReader().answer(question, [every[name] for name in gold])
                assert right(answer, question.expected), question


def test_the_last_of_conflicting_facts_is_told_last():
    conflicts = next(h for h in MADE.haystacks if h.name.startswith("conflicts"))
    told = {m["id"]: m["at"] for m in conflicts.messages}
    for name, at in told.items():
        prefix, _, number = name.partition("/")
        if prefix != "noise" and int(number):
            assert at > told[f"{prefix}/{int(number) - 1}"]


@pytest.fixture(scope="module")
def arms():
    options = abilities.Options(noise=40, seeds=1, embedder="none", arms=("everything", "window", "words"), window=600)
    return abilities.run(options, SILENT)["arms"]


def test_a_window_loses_needles_and_a_search_what_needs_the_whole(arms):
    assert set(KINDS) < set(arms["everything"])
    assert arms["everything"]["accurate retrieval"]["right"] == 1 == arms["words"]["accurate retrieval"]["right"]
    assert arms["window"]["accurate retrieval"]["right"] < 0.8
    assert arms["everything"]["whole, culprit"]["right"] == 1
    assert arms["words"]["whole, culprit"] == arms["words"]["whole, culprit"] | {"right": 0, "retrieval": 1}


def test_two_hops_are_harder_for_one_search_than_one(arms):
    assert arms["words"]["conflicts, two hops"]["right"] < arms["words"]["conflicts, one hop"]["right"]
