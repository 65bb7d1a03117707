"""The systems of one signal: words alone find by words, vectors alone by vectors, and neither judges."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.embed.base import unit_rows

T0 = datetime(2024, 1, 1, tzinfo=UTC)


class Meanings:
    """An embedder that knows which texts are about animals, and nothing else."""

    name, revision, dimension = "meanings", "1", 2
    texts = 0

    def embed(self, texts, *, progress=None):
        self.texts += len(texts)
        about = [[1.0, 0.0] if any(w in t for w in ("hound", "dog", "cat")) else [0.0, 1.0] for t in texts]
        return unit_rows(np.array(about))


@pytest.fixture
def embedder():
    return Meanings()


@pytest.fixture
def memory(tmp_path, clock, embedder):
    with Mnemos(tmp_path, embedder=embedder, clock=clock) as memory:
        yield memory


def fill(space):
    for id, text in (("hound", "The hound sleeps."), ("train", "The train was late."), ("dogma", "dog dog dog")):
        space.add(text, id=id, speaker="Ana")
    return space


def found(space, query, **options):
    return [hit.cube.id for hit in space.search(query, **options)]


def test_words_alone_find_by_words_only_and_embed_nothing(memory, embedder):
    space = fill(memory.space("ana", system="bm25"))
    assert found(space, "Is the dog asleep?") == ["dogma"]  # the hound means the same, in other words
    assert found(space, "kitten") == []
    assert embedder.texts == 0
    assert space.search("late train")[0].why.keys() == {"bm25"}


def test_vectors_alone_find_by_vectors_only(memory):
    space = fill(memory.space("ana", system="vectors"))
    assert set(found(space, "cat", k=2)) == {"hound", "dogma"}  # no word in common
    assert found(space, "cat", k=1, session="elsewhere") == []
    [best] = space.search("late", k=1)
    assert (best.cube.id, best.why) == ("train", {"cosine": pytest.approx(1.0)})


@pytest.mark.parametrize("system", ["bm25", "vectors"])
def test_nothing_is_judged(memory, system):
    space = memory.space("ana", system=system)
    first = space.add("I live in Porto.", speaker="Ana")
    second = space.add("I live in Faro now.", speaker="Ana")
    assert space.get(first.id).state == "active"
    assert (space.facts(), space.decisions()) == ([], [])
    assert space.add("I live in Faro now.", speaker="Ana").id != second.id  # a duplicate is kept as well
    assert not space.consolidate().written


@pytest.mark.parametrize("system", ["bm25", "vectors"])
def test_a_system_ranks_as_the_method_of_the_same_name(memory, system):
    space = fill(memory.space("ana", system=system))
    method = {"bm25": "words", "vectors": "vectors"}[system]
    for query in ("the dog", "a late cat", "sleeps"):
        assert space.search(query) == space.search(query, method=method)
        assert space.search_sessions(query) == space.search_sessions(query, method=method)


def test_in_the_default_system_the_second_statement_supersedes(memory):
    space = memory.space("ana")
    first = space.add("I live in Porto.", speaker="Ana")
    space.add("I live in Faro now.", speaker="Ana")
    assert space.get(first.id).state == "superseded"
