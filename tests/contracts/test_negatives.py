"""What every source of negatives keeps: `pytest tests/contracts/test_negatives.py -k NAME` checks one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.registry import all_entries
from mnemos.text.recall.base import Draw, Negatives
from mnemos.text.recall.learning import Fixed

SOURCES = {e.name: e.target() for e in all_entries("text", kind="negatives")}
D = 4

each = pytest.mark.parametrize("negatives", SOURCES.values(), ids=SOURCES.keys())


def unit(rng, n):
    rows = rng.normal(size=(n, D))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def draws(draw):
    """Return up to 5 questions, 1 to 40 texts, each question with an answer or more, some with negatives from before."""
    rng = np.random.default_rng(draw(st.integers(0, 1_000)))
    texts, questions = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    gold = [rng.choice(texts, rng.integers(1, min(texts, 3) + 1), replace=False) for _ in range(questions)]
    before = np.full((questions, 3), -1)
    if draw(st.booleans()):
        for row, own in zip(before, gold, strict=True):
            others = np.setdiff1d(np.arange(texts), own)[:3]
            row[: len(others)] = others
    return lambda: Draw(
        unit(np.random.default_rng(1), questions), Fixed(unit(rng, texts)), gold, before, np.random.default_rng(2)
    )


def test_there_are_some():
    assert SOURCES.keys() == {"random-negatives", "star", "adore", "ance-tele"}


@each
def test_it_draws_negatives(negatives):
    assert isinstance(negatives, Negatives)
    assert negatives.every >= 0


@each
@given(draws())
def test_no_answer_is_drawn_and_every_position_exists(negatives, make):
    draw = make()
    found = negatives.draw(draw)
    assert found.shape == (len(draw.questions), negatives.size)
    assert found.dtype.kind == "i"
    assert ((found >= -1) & (found < len(draw.texts))).all()
    for row, gold in zip(found, draw.gold, strict=True):
        assert not np.isin(row[row >= 0], gold).any()


@each
@given(draws())
def test_it_changes_nothing(negatives, make):
    draw = make()
    kept = draw.questions.copy(), draw.texts.rows.copy(), [g.copy() for g in draw.gold], draw.before.copy()
    negatives.draw(draw)
    assert np.array_equal(kept[0], draw.questions)
    assert np.array_equal(kept[1], draw.texts.rows)
    assert all(np.array_equal(a, b) for a, b in zip(kept[2], draw.gold, strict=True))
    assert np.array_equal(kept[3], draw.before)
