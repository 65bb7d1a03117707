"""Questions for a list or a count: twice as many hits by default, from more sessions."""

from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.cube import Hit, MemCube
from mnemos.reason.many import asks_many
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.many import SpreadSessions, enough

T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "question",
    [
        "What sports does Ben do?", "Which books has she read?", "How many dogs do they have?", "List the trips we made",
        "What are his hobbies?", "Show me all the recipes", "Wie viele Kinder hat sie?", "¿Cuántos hermanos tengo?",
        "Combien de chats ai-je ?", "Сколько у меня котов?", "她有哪些爱好?", "In what ways does Ana help?",
    ],
)  # fmt: skip
def test_lists_and_counts_are_told_from_other_questions(question):
    assert asks_many(question)
    assert enough(question) == 20
    assert enough(question, 5) == 10


@pytest.mark.parametrize(
    "question",
    [
        "Where does Ben live?",
        "What is her job?",
        "When did she move?",
        "Who called?",
        "Was ist sein Beruf?",
        "What was the news?",
    ],
)
def test_a_question_for_one_thing_is_no_list(question):
    assert not asks_many(question)
    assert enough(question) == 10


def hits(*rows):
    cubes = [MemCube(f"c{i}", "x", "s", T0, T0, session=session) for i, (session, _) in enumerate(rows)]
    return [(i, Hit(cube, score, {"x": score})) for i, (cube, (_, score)) in enumerate(zip(cubes, rows, strict=True))]


def test_a_near_hit_of_another_session_comes_before_the_third_of_one():
    found = hits(("a", 9.0), ("a", 8.9), ("a", 8.8), ("b", 8.7), (None, 8.6), (None, 8.5), ("c", 1.0))
    chosen = SpreadSessions().rerank(None, Asked("What sports does Ben do?"), found, Filter(), 5)
    assert [key for key, _ in chosen] == [0, 3, 4, 5, 1]
    assert SpreadSessions().rerank(None, Asked("Where does Ben live?"), found, Filter(), 5) == found[:5]


def test_a_search_without_a_number_finds_more_for_a_list_and_a_number_is_a_bound(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ben")
        space.add_many([{"content": f"Ben likes sport number {i}", "session": f"s{i % 6}"} for i in range(30)])
        assert len(space.search("What sports does Ben like?")) == 20
        assert len(space.search("Which sport does Ben like?")) == 10
        assert len(space.search("What sports does Ben like?", 7)) == 7
        assert len({hit.cube.session for hit in space.search("What sports does Ben like?", 6)}) == 6
        assert len(memory.search("What sports does Ben like?", spaces=["ben"])) == 20
