import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.store.values import Changes, IndexRow
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.cues import VECTOR_CUES
from mnemos.text.recall.fusion import model
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.query import Query
from mnemos.text.recall.snapshot import Snapshot


def row(n, terms, vector=None, session=None):
    return IndexRow(n, session, None, None, "turn", n, " ".join(terms), tuple(terms), vector, ())


def query(*content, vector=None):
    return Query(frozenset(content), content, vector, None, False, False, False, False)


def view_of(rows):
    view = Snapshot()
    assert view.apply(Changes(1, rows, []))
    return view


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=20), st.integers(1, 25))
def test_the_best_k_are_those_of_a_full_sort_and_why_sums_to_the_score(texts, k):
    rng = np.random.default_rng(len(texts))
    rows = [row(i, t, rng.normal(size=4).astype(np.float16), "s") for i, t in enumerate(texts, 1)]
    view, asked = view_of(rows), query("a", "b", vector=np.ones(4))
    everything = view.rank(Hybrid(), asked, 1_000)
    assert [r.key for r in view.rank(Hybrid(), asked, k)] == [r.key for r in everything][:k]
    assert [r.score for r in everything] == sorted((r.score for r in everything), reverse=True)
    assert {r.key for r in everything} == set(range(1, len(texts) + 1))
    for r in everything:
        assert r.score == pytest.approx(sum(r.why.values()), abs=1e-4)


def test_among_equals_the_newest_comes_first():
    view = view_of([row(n, ["a"]) for n in (1, 2, 3)])
    assert [r.key for r in view.rank(Bm25(), query("a"), 2)] == [3, 2]


def test_without_vectors_what_no_word_speaks_for_is_not_found():
    view = view_of([row(1, ["a"]), row(2, ["b"])])
    assert [r.key for r in view.rank(Hybrid(), query("a"), 10)] == [1]
    assert view.rank(Hybrid(), query("z"), 10) == []


def test_a_mask_hides_cubes_from_rankings_of_cubes_and_of_sessions():
    view = view_of([row(1, ["a"], session="s"), row(2, ["a"], session="t")])
    allow = view.mask(np.array([2, 99]))
    assert [r.key for r in view.rank(Hybrid(), query("a"), 10, allow=allow)] == [2]
    assert [r.session for r in view.rank_sessions(Hybrid(), query("a"), 10, allow=allow)] == ["t"]
    assert [r.session for r in view.rank_sessions(Hybrid(), query("a"), 10)] == ["t", "s"]


def test_rows_computed_anew_ask_for_a_fresh_view():
    view = view_of([row(1, ["a"]), row(2, ["b"])])
    assert not view.apply(Changes(2, [row(1, ["c"])], []))
    assert view.apply(Changes(2, [row(3, ["c"])], [2, 77]))
    assert len(view) == 2
    assert view.seq == 2


def test_a_view_that_is_mostly_holes_asks_for_a_fresh_one():
    view = view_of([row(n, ["a"]) for n in range(1, 8)])
    assert not view.apply(Changes(2, [], [1, 2, 3, 4, 5]))


def test_an_empty_view_finds_nothing():
    assert Snapshot().rank(Hybrid(), query("a"), 5) == []
    assert Snapshot().rank_sessions(Hybrid(), query("a"), 5) == []


@pytest.mark.parametrize("name", ["cubes", "cubes_words", "sessions", "sessions_words"])
def test_fitted_weights_are_there_and_those_for_words_use_no_vectors(name):
    fitted = model(name)
    assert fitted.experts.any(axis=1).sum() >= 2
    if name.endswith("_words"):
        assert not any("cosine" in signal for signal in fitted.signals)
        assert not VECTOR_CUES & set(fitted.cues)
