import numpy as np
import pytest

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
