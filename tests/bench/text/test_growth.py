"""Histories that grow: the facts stay the same, the small talk does not hide them from who reads all."""

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import conversations, growth
from mnemos.bench.text.conversations import CLASSES
from mnemos.bench.text.reader import Passage, ScriptedReader, right


@pytest.mark.parametrize("size", [1, 12])
def test_who_reads_everything_answers_everything(size):
    haystack = conversations.history(size, 3, 1)
    every = [Passage(m["id"], m["content"], m["at"], m["speaker"]) for m in haystack.messages]
    assert {q.category for q in haystack.questions} == set(CLASSES)
    for question in haystack.questions:
        assert right(ScriptedReader().answer(question, every), question.expected), question
        texts = [p.text for p in every if p.id in question.gold["turn"]]
        assert bool(texts) == bool(question.expected.answers)
        assert all(question.expected.answers[0] in text for text in texts)


def test_the_same_user_has_the_same_facts_in_a_longer_history():
    short, long = (conversations.history(size, 2, 0) for size in (2, 9))
    assert [q.text for q in short.questions] == [q.text for q in long.questions]
    assert len(long.messages) - len(short.messages) == 7 * conversations.TURNS
    assert {m["session"] for m in long.messages} == {f"day {day}" for day in range(9)}


def test_the_crossover_is_where_a_window_no_longer_holds_the_history():
    options = growth.Options(
        sizes=(1, 30), each=2, users=1, window=1_000, embedder="none", arms=("everything", "window", "words", "oracle")
    )
    result = growth.run(options, SILENT)
    small, large = (result["sizes"][size] for size in ("1", "30"))
    assert (
        small["window"] == small["everything"] | {"all": small["window"]["all"]} or small["window"]["all"]["right"] == 1
    )
    assert large["everything"]["all"]["right"] == large["oracle"]["all"]["right"] == 1 > large["window"]["all"]["right"]
    assert large["window"]["all"]["tokens"] <= 1_000 < large["everything"]["all"]["tokens"]
    rows = {row[0]: row[1:] for row in growth.crossovers(result)[1:]}
    assert rows["window"] == ["30", "30"]
    assert rows["words"][0] == "1"
