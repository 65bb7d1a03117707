"""Triples are found by names written another way, the exact one first, and one that changes leaves the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.text.recall.spelling import Triple, match, similarity

WORDS = st.text("abcdefgh ", min_size=1, max_size=12)


@given(WORDS, WORDS)
def test_similarity_is_symmetric_and_one_only_for_the_same_name(one, other):
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert (similarity(one, other) == 1) == (one.split() == other.split())


@pytest.mark.parametrize("written", ["Robert Mlller", "Robrt Miller", "R. Miller", "Rob Miller", "Miller"])
def test_a_misspelt_or_shortened_name_is_found(written):
    triples = [
        Triple("robert miller", "live in", "Porto"),
        Triple("rita sosa", "live in", "Braga"),
        Triple("ada mill", "live in", "Lyon"),
    ]
    assert match(triples, written, "live in")[0][0].object == "Porto"


def test_the_exact_name_comes_first_and_any_part_may_be_missing():
    triples = [Triple("ana", "live in", "Porto", since=1), Triple("anna", "live in", "Braga", since=2)]
    assert [t.object for t, _ in match(triples, "Ana", "live in")] == ["Porto", "Braga"]
    assert match(triples, "Ana", "live in")[0][1] == 1.0
    assert match(triples, relation="live in", object="Braga")[0][0].subject == "anna"
    assert match(triples, "Ana", "work at") == []


def test_a_changed_triple_changes_its_answer_and_no_other(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("s", system="memllm")
        for who, town in (("Ana Silva", "Porto"), ("Tom Baker", "Riga"), ("Rita Sosa", "Lyon")):
            space.add(f"{who} lives in {town}.", id=f"{who}{town}")

        def answers():
            return [
                space.search(f"Where does {who} live?", 1)[0].cube.text for who in ("Anna Silva", "Tom Bakr", "R. Sosa")
            ]

        assert answers() == ["Ana Silva lives in Porto.", "Tom Baker lives in Riga.", "Rita Sosa lives in Lyon."]
        space.add("Tom Baker lives in Oslo now.")
        assert answers() == ["Ana Silva lives in Porto.", "Tom Baker lives in Oslo now.", "Rita Sosa lives in Lyon."]
        space.update("Rita SosaLyon", content="Rita Sosa lives in Nice.")
        assert answers() == ["Ana Silva lives in Porto.", "Tom Baker lives in Oslo now.", "Rita Sosa lives in Nice."]
