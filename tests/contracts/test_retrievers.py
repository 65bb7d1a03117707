"""What every retriever keeps: `pytest tests/contracts/test_retrievers.py -k NAME` checks one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.registry import all_entries
from mnemos.store.values import Changes, IndexRow
from mnemos.text.base import Retriever, SessionRetriever, View
from mnemos.text.null import NoRetriever
from mnemos.text.recall.query import Query
from mnemos.text.recall.snapshot import Snapshot

FEW = settings(max_examples=15)  # of each method, in each of the five tests: there are many
RETRIEVERS = {"null": NoRetriever(), **{e.name: e.target() for e in all_entries("text", kind="retriever")}}
WORDS = "abcdefg"
D = 4


each = pytest.mark.parametrize("retriever", RETRIEVERS.values(), ids=RETRIEVERS.keys())


@st.composite
def spaces(draw):
    """Return (snapshot, query, mask): up to 12 cubes, some without a vector or a session, some of them erased."""
    rng = np.random.default_rng(draw(st.integers(0, 1_000)))
    rows = []
    for key in range(1, draw(st.integers(1, 12)) + 1):
        terms = tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)))
        session = draw(st.sampled_from([None, "s", "t"]))
        vector = rng.normal(size=D).astype(np.float16) if draw(st.booleans()) else None
        rows.append(IndexRow(key, session, "Ana", "user", "turn", key, " ".join(terms), terms, vector, ()))
    snapshot = Snapshot()
    snapshot.apply(Changes(1, rows, []))
    if draw(st.booleans()):
        snapshot.link([(a.key, b.key, 0.9) for a, b in zip(rows, rows[1:], strict=False)])
    snapshot.corpus.remove(draw(st.lists(st.integers(1, len(rows)), max_size=len(rows) - 1, unique=True)))
    content = tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True)))
    vector = draw(st.sampled_from([None, rng.normal(size=D)]))
    mask = np.array(draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    return snapshot, Query(frozenset(content), content, vector, None, False, False, False, False), mask


def view_of(snapshot, mask):
    return View(snapshot.corpus, snapshot.graph, snapshot.corpus.alive & mask)


def parts(snapshot):
    """Return copies of what a retriever could change."""
    corpus = snapshot.corpus
    arrays = (corpus.keys, corpus.alive, corpus.superseded, corpus.derived, corpus.at, corpus.vectors.rows)
    return [a.copy() for a in arrays]


@each
def test_it_is_a_retriever(retriever):
    assert isinstance(retriever, Retriever)
    assert isinstance(type(retriever).uses_vector, bool)


@each
@FEW
@given(spaces())
def test_every_cube_has_a_score_and_none_that_is_not_shown_has_a_finite_one(retriever, case):
    snapshot, query, mask = case
    view = view_of(snapshot, mask)
    scores = retriever.rank(view, query).scores
    assert scores.shape == (len(snapshot.corpus),)
    assert not np.isnan(scores).any()
    assert not (scores == np.inf).any()
    assert (scores[~view.shown] == -np.inf).all()


@each
@FEW
@given(spaces())
def test_why_sums_to_the_score(retriever, case):
    snapshot, query, mask = case
    ranking = retriever.rank(view_of(snapshot, mask), query)
    found = [int(i) for i in np.flatnonzero(np.isfinite(ranking.scores))]
    for i, why in zip(found, ranking.explain(found), strict=True):
        assert sum(why.values()) == pytest.approx(float(ranking.scores[i]), abs=1e-3)


@each
@FEW
@given(spaces())
def test_it_changes_nothing_and_says_the_same_again(retriever, case):
    snapshot, query, mask = case
    before, vector = parts(snapshot), None if query.vector is None else query.vector.copy()
    first = retriever.rank(view_of(snapshot, mask), query).scores.copy()
    assert np.array_equal(first, retriever.rank(view_of(snapshot, mask), query).scores)
    assert np.array_equal(first, type(retriever)().rank(view_of(snapshot, mask), query).scores)
    assert all(np.array_equal(a, b) for a, b in zip(before, parts(snapshot), strict=True))
    assert vector is None or np.array_equal(vector, query.vector)


@each
@FEW
@given(spaces(), st.integers(1, 15))
def test_hits_are_the_best_that_are_shown(retriever, case, k):
    snapshot, query, mask = case
    hits = snapshot.rank(retriever, query, k, allow=mask)
    shown = set(snapshot.corpus.keys[snapshot.corpus.alive & mask].tolist())
    assert len(hits) <= k
    assert {h.key for h in hits} <= shown
    scores = [h.score for h in hits]
    assert scores == sorted(scores, reverse=True) or np.allclose(scores, sorted(scores, reverse=True), atol=1e-3)


@each
@FEW
@given(spaces(), st.integers(1, 5))
def test_sessions_are_those_of_cubes_that_are_shown(retriever, case, k):
    snapshot, query, mask = case
    corpus = snapshot.corpus
    shown = set(corpus.keys[corpus.alive & mask].tolist())
    for found in snapshot.rank_sessions(retriever, query, k, allow=mask):
        assert found.session in ("s", "t")
        assert found.best in shown
        assert np.isfinite(found.score)


@each
def test_an_empty_space_has_no_hits(retriever):
    asked = Query(frozenset("a"), ("a",), np.ones(D), None, False, False, False, False)
    assert Snapshot().rank(retriever, asked, 5) == []
    assert Snapshot().rank_sessions(retriever, asked, 5) == []


def test_a_retriever_that_ranks_sessions_is_known_by_its_contract():
    assert [name for name, r in RETRIEVERS.items() if isinstance(r, SessionRetriever)] == ["hybrid", "memgas"]
