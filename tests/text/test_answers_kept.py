"""The cache of answers serves what still holds, and forgets with the memories that an answer was made of."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput, NotFound
from mnemos.text.recall.semantic_cache import Category, Log, Served, choose, count, replay

QUESTION = "Where does my sister Rita live?"


class Clock:
    def __init__(self):
        self.now = datetime(2025, 3, 1, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing:128", clock=clock) as memory:
        yield memory.space("s")


def kept(space, question=QUESTION, answer="In Porto.", **more):
    cube = space.add("My sister Rita lives in Porto.", id="rita")
    space.answers.put(question, answer, [cube.id], **more)


def test_the_same_question_and_a_similar_one_are_answered(space):
    space.answers.categories = {"default": Category(threshold=0.6)}
    kept(space)
    assert space.answers.get(QUESTION).text == "In Porto."
    found = space.answers.get("Where does my sister Rita live now?")
    assert (found.text, found.question, found.used) == ("In Porto.", QUESTION, ("rita",))
    assert 0.6 <= found.similarity < 1


@pytest.mark.parametrize("other", ["Where does my sister Ruth live?", "Where does my sister Rita not live?"])
def test_another_name_or_a_negation_is_another_question(space, other):
    space.answers.categories = {"default": Category(threshold=0.0)}
    kept(space)
    assert space.answers.get(other) is None


def test_an_erased_memory_takes_its_answers_along_in_every_process(space, tmp_path, clock):
    kept(space)
    with Mnemos(tmp_path, embedder="hashing:128", clock=clock) as other:
        answers = other.space("s").answers
        assert answers.get(QUESTION) is not None
        receipt = space.forget(["rita"])
        assert space.verify(receipt) == []
        assert answers.get(QUESTION) is None
    assert len(space.answers) == 0
    assert b"In Porto" not in b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update("rita", content="My sister Rita lives in Lisbon."),
        lambda s: s.archive(["rita"]),
        lambda s: s.add("My sister Rita lives in Braga now."),
    ],
)
def test_a_memory_that_changes_ends_the_answers_made_of_it(space, change):
    kept(space)
    assert space.answers.get(QUESTION) is not None
    change(space)
    assert space.answers.get(QUESTION) is None


def test_an_unrelated_memory_changes_nothing(space):
    kept(space)
    space.add("My brother Paul works at Northwind.")
    assert space.answers.get(QUESTION) is not None


def test_an_answer_that_did_not_know_a_memory_of_the_prompt_is_not_served(space):
    kept(space)
    other = space.add("Rita will move next year.")
    assert space.answers.get(QUESTION, shown=["rita"]) is not None
    assert space.answers.get(QUESTION, shown=["rita", other.id]) is None


def test_categories_have_their_own_time_room_and_switch(space, clock):
    space.answers.categories = {"prices": Category(days=0.5), "few": Category(most=2), "mine": Category(on=False)}
    for category in ("prices", "few", "mine"):
        space.answers.put("What is it?", f"an answer of {category}", [], category)
    assert space.answers.get("What is it?") is None  # the category "default" has none
    assert space.answers.get("What is it?", "mine") is None
    for question in ("How tall is it?", "What is it?", "Who made it?"):
        if space.answers.get(question, "few") is None:
            space.answers.put(question, "an answer", [], "few")
    assert [space.answers.get(q, "few") is None for q in ("What is it?", "How tall is it?", "Who made it?")] == [
        False,
        True,
        False,
    ]
    clock.now += timedelta(hours=13)
    assert space.answers.get("What is it?", "prices") is None
    assert space.answers.get("What is it?", "prices", load=1.0) is not None
    assert space.answers.drop("few") == 2


def test_answers_are_no_memories(space):
    kept(space)
    assert [c.id for c in space.cubes()] == ["rita"]
    assert [h.cube.id for h in space.search("Porto")] == ["rita"]


def test_what_cannot_be_kept_is_refused(space):
    with pytest.raises(NotFound):
        space.answers.put(QUESTION, "In Porto.", ["nobody"])
    with pytest.raises(InvalidInput):
        space.answers.put("  ", "In Porto.", [])
    with pytest.raises(InvalidInput):
        space.answers.categories = {"a": 0.9}
    with pytest.raises(InvalidInput):
        Category(threshold=2)
    assert space.answers.put("What is my key?", "It is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD", []) is None
    assert len(space.answers) == 0


def test_a_replay_counts_right_wrong_and_stale_answers():
    angle = np.deg2rad([0, 5, 40, 2])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    answers, meanings, days = np.array([1, 1, 2, 3]), np.array([1, 1, 2, 1]), np.array([0.0, 1.0, 2.0, 9.0])
    log = Log(vectors, np.zeros(4, np.int64), days, answers, meanings)
    for rules, served in {
        Category(threshold=0.99, days=30): Served(4, 1, 0, 1),
        Category(threshold=0.99, days=5): Served(4, 1, 0, 0),
        Category(threshold=0.7, days=30): Served(4, 1, 1, 1),
        Category(threshold=0.99, days=30, most=1): Served(4, 1, 0, 0),
        Category(on=False): Served(4, 0, 0, 0),
    }.items():
        assert count(log, replay(log, rules)) == served


def test_the_chosen_rules_serve_most_within_the_share_of_bad_answers():
    low, high = Category(threshold=0.5), Category(threshold=0.9)
    tried = {
        "sparse": [(low, Served(100, 60, 0, 0)), (high, Served(100, 20, 0, 0))],
        "dense": [(low, Served(100, 80, 40, 0)), (high, Served(100, 40, 0, 0))],
    }
    assert choose(tried, sure=0) == {"sparse": low, "dense": high}
    assert choose({"dense": [(low, Served(100, 80, 40, 0))]}, sure=0)["dense"].on is False
    assert choose(tried)["dense"].on is False  # of some forty, none wrong may have been luck
