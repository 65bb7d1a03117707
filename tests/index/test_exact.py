import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.index import exact
from mnemos.index.exact import ExactIndex


def test_scores_are_cosines_however_the_rows_came():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 16)).astype(np.float16)
    index = ExactIndex()
    for start, stop in ((0, 1), (1, 7), (7, 50)):
        index.add(list(rows[start:stop]))
    query = rng.normal(size=16)
    exact = rows.astype(np.float64) @ query / np.linalg.norm(rows.astype(np.float64), axis=1) / np.linalg.norm(query)
    assert index.scores(query) == pytest.approx(exact, abs=1e-5)


def test_a_row_without_a_vector_keeps_its_place_and_scores_nothing():
    index = ExactIndex()
    index.add([None])
    index.add([np.array([0, 2], np.float16), None])
    assert index.present.tolist() == [False, True, False]
    assert index.scores(np.array([0.0, 1.0])).tolist() == [0, 1, 0]


def test_an_empty_index_scores_nothing():
    assert ExactIndex().scores(np.ones(4)).shape == (0,)


def test_scores_begun_in_the_background_are_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    index = ExactIndex()
    index.add([*rng.normal(size=(30, 8)).astype(np.float16), None])
    query = rng.normal(size=8)
    expected = index.scores(query)
    assert index.start(query)() == pytest.approx(expected)
    monkeypatch.setattr("mnemos.index.exact.PARALLEL", 1)
    assert index.start(query)() == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.tuples(st.sampled_from(["add", "foresee", "ask"]), st.integers(0, 3)), max_size=30))
def test_scores_made_ahead_are_those_of_all_rows_there_are(steps):
    rng = np.random.default_rng(2)
    queries = rng.normal(size=(4, 8)).astype(np.float32)
    index, rows = ExactIndex(), np.zeros((0, 8), dtype=np.float16)
    for what, i in steps:
        if what == "add":
            new = rng.normal(size=(i, 8)).astype(np.float16)
            rows = np.concatenate([rows, new])
            index.add(list(new))
        elif what == "foresee":
            index.foresee(queries[i])
        else:
            wide = rows.astype(np.float64)
            cosines = wide @ queries[i] / np.maximum(np.linalg.norm(wide, axis=1) * np.linalg.norm(queries[i]), 1e-9)
            assert index.scores(queries[i]) == pytest.approx(cosines, abs=1e-5)


def test_scores_made_ahead_are_used_once_and_few_are_kept(monkeypatch):
    rng = np.random.default_rng(3)
    index = ExactIndex()
    index.add(list(rng.normal(size=(5, 8)).astype(np.float16)))
    made = []
    product = ExactIndex._product
    monkeypatch.setattr(ExactIndex, "_product", lambda self, query: made.append(1) or product(self, query))
    query = rng.normal(size=8).astype(np.float32)
    index.foresee(query)
    assert (index.scores(query) == index.scores(query)).all()
    assert len(made) == 2  # ahead, and for the second question
    for other in rng.normal(size=(3 * exact.AHEAD, 8)).astype(np.float32):
        index.foresee(other)
        assert len(index._ahead) <= exact.AHEAD


def test_rows_added_while_scores_are_made_ahead_are_not_missed(monkeypatch):
    rng = np.random.default_rng(4)
    index, query = ExactIndex(), rng.normal(size=8).astype(np.float32)
    index.add(list(rng.normal(size=(5, 8)).astype(np.float16)))
    product = ExactIndex._product

    def with_a_row_more(self, query):
        found = product(self, query)
        index.add(list(rng.normal(size=(1, 8)).astype(np.float16)))
        return found

    monkeypatch.setattr(ExactIndex, "_product", with_a_row_more)
    index.foresee(query)
    monkeypatch.setattr(ExactIndex, "_product", product)
    assert index.scores(query).shape == (6,)


def test_a_text_with_parts_scores_halfway_to_the_best_of_them():
    rng = np.random.default_rng(2)
    rows = [rng.normal(size=shape).astype(np.float16) for shape in (8, (4, 8), 8, (3, 8))]
    index, query = ExactIndex(), rng.normal(size=8)
    index.add(rows[:2])
    index.add([None, *rows[2:]])

    def cosines(vectors):
        vectors = np.atleast_2d(vectors).astype(float)
        return vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)

    expected = [c[0] if len(c) == 1 else (c[0] + c[1:].max()) / 2 for c in map(cosines, rows)]
    expected.insert(2, 0.0)
    assert index.scores(query) == pytest.approx(expected, abs=1e-5)
    assert index.rows[1] == pytest.approx(rows[1][0] / np.linalg.norm(rows[1][0].astype(float)), abs=1e-3)
