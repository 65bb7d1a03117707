"""What a space predicts leaves search, and nothing that says more does."""

from dataclasses import replace

import pytest

from mnemos import Mnemos
from mnemos.text.consolidate.surprise import ArchivePredicted
from mnemos.text.system import DEFAULT


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="hashing:256") as memory:
        yield memory.space("s", system=replace(DEFAULT, phases=(ArchivePredicted(),)))


def left(space):
    space.consolidate()
    return [cube.id for cube in space.cubes()]


def test_a_repeat_leaves_search_and_comes_back(space):
    for name, text in (
        ("a", "the cat sleeps on the old sofa"),
        ("b", "the cat sleeps on the old sofa again"),
        ("c", "it rained"),
    ):
        space.add(text, id=name)
    assert left(space) == ["a", "c"]
    assert space.get("b").text == "the cat sleeps on the old sofa again"
    space.add("the old cat sleeps on the sofa", id="d")
    assert left(space) == ["a", "c"]
    assert space.unarchive(["b"]) == ["b"]
    assert left(space) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "second",
    [
        "the bill of the month is 31 euros",
        "the bill of the month is not 30 euros",
        "the bill of Rita and the month is 30 euros",
    ],
)
def test_another_number_name_or_negation_stays(space, second):
    space.add("the bill of the month is 30 euros", id="a")
    space.add(second, id="b")
    assert left(space) == ["a", "b"]


def test_another_speaker_a_pinned_memory_and_a_new_fact_stay(space):
    space.add("the cat sleeps on the old sofa", id="a", speaker="Ana")
    space.add("the cat sleeps on the old sofa again", id="b", speaker="Bo")
    space.add("the cat sleeps on the old sofa now", id="c", speaker="Ana")
    space.pin("c")
    assert left(space) == ["a", "b", "c"]
