"""Query heads: gradients as finite differences give them, and what each source of negatives draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.index.adam import Adam
from mnemos.text.recall import factors
from mnemos.text.recall.adore import Adore
from mnemos.text.recall.ance_tele import AnceTele
from mnemos.text.recall.base import Draw
from mnemos.text.recall.learning import Fixed, Training, reciprocal_ranks, through_unit, train
from mnemos.text.recall.query_head import HeadTower, QueryHead
from mnemos.text.recall.signals import SIGNALS
from mnemos.text.recall.star import Star


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_gradient_through_scaling_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    raw, by = rng.normal(size=(3, 5)), rng.normal(size=(3, 5)).astype(np.float32)
    found = through_unit(raw, by)
    for i, j in np.ndindex(raw.shape):
        step = np.zeros_like(raw)
        step[i, j] = 1e-5
        value = [(r / np.linalg.norm(r, axis=1, keepdims=True) * by).sum() for r in (raw + step, raw - step)]
        assert found[i, j] == pytest.approx((value[0] - value[1]) / 2e-5, abs=1e-4)


class Slope:
    """Takes the place of Adam and keeps the gradient."""

    def __init__(self, value):
        self.value = value

    def step(self, gradient):
        self.slope = gradient


def test_the_gradients_of_a_head_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    tower = HeadTower(unit(rng.normal(size=(4, 6))), rank=2)
    by = rng.normal(size=(4, 6)).astype(np.float32)
    parts = [Slope(rng.normal(size=shape) / 3) for shape in ((6, 2), (2, 6), (6,))]
    tower._down, tower._up, tower._shift = parts
    tower.learn(np.arange(4), by)
    for part in parts:
        for at in np.ndindex(part.value.shape):
            values = []
            for step in (1e-3, -2e-3):
                part.value[at] += step
                values.append(float((tower.vectors() * by).sum()))
            part.value[at] += 1e-3
            assert part.slope[at] == pytest.approx((values[0] - values[1]) / 2e-3, abs=1e-2)


def test_a_new_head_changes_nothing_and_a_stored_one_is_the_same():
    rng = np.random.default_rng(0)
    asked = unit(rng.normal(size=(3, 8)))
    assert np.allclose(HeadTower(asked, rank=2).vectors(), asked, atol=1e-6)
    head = QueryHead(*(rng.normal(size=shape).astype(np.float32) for shape in ((8, 2), (2, 8), (8,))))
    again = QueryHead.from_json(head.to_json(), 8)
    assert np.allclose(head(asked), again(asked), atol=1e-2)
    for wrong in ({**head.to_json(), "up": head.to_json()["shift"][:-2]}, {**head.to_json(), "shift": "AHw="}):
        with pytest.raises(ValueError, match="."):
            QueryHead.from_json(wrong, 8)


def test_training_the_questions_leaves_the_texts_and_ranks_the_answers_first():
    rng = np.random.default_rng(0)
    texts = unit(rng.normal(size=(30, 8)))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    asked, gold, before = unit(texts @ turn), [np.array([i]) for i in range(30)], texts.copy()
    tower = HeadTower(asked, rank=8, rate=0.02, decay=0.0)
    first = reciprocal_ranks(tower.vectors(), texts, gold).mean()
    train(tower, Fixed(texts), gold, Adore(size=10), Training(steps=60))
    assert reciprocal_ranks(tower.head()(asked), texts, gold).mean() > max(2 * first, 0.8)
    assert np.array_equal(texts, before)


@given(st.integers(0, 50), st.integers(1, 12))
def test_hard_negatives_are_the_best_wrong_texts_in_order(seed, size):
    rng = np.random.default_rng(seed)
    asked, texts = unit(rng.normal(size=(3, 4))), unit(rng.normal(size=(9, 4)))
    gold = [rng.choice(9, 2, replace=False) for _ in range(3)]
    found = Star(size=size).draw(Draw(asked, Fixed(texts), gold, np.full((3, 1), -1), rng))
    for q, own, row in zip(asked, gold, found, strict=True):
        wanted = [i for i in np.argsort(-(texts @ q), kind="stable") if i not in own][:size]
        assert row[row >= 0].tolist() == wanted


def test_teleportation_keeps_some_of_the_negatives_before_and_looks_at_the_neighbours_of_the_answers():
    rng = np.random.default_rng(0)
    texts = unit(np.concatenate([rng.normal(size=(40, 3)) * 0.1 + centre for centre in np.eye(3)]))
    question, gold = texts[80:81], [np.array([0])]  # far from its answer
    before = np.arange(40, 80)[None]
    parts = {"current": range(80, 120), "momentum": range(40, 80), "lookahead": range(40)}

    def drawn(**options):
        method = AnceTele(size=12, pool=20, **options)
        row = method.draw(Draw(question, Fixed(texts), gold, before, np.random.default_rng(1)))[0]
        return {name: int(np.isin(row, list(part)).sum()) for name, part in parts.items()}

    assert drawn() == {"current": 4, "momentum": 4, "lookahead": 4}
    assert drawn(momentum=0) == {"current": 6, "momentum": 0, "lookahead": 6}
    assert drawn(lookahead=0) == {"current": 6, "momentum": 6, "lookahead": 0}
    assert drawn(momentum=0, lookahead=0) == {"current": 12, "momentum": 0, "lookahead": 0}


def test_adam_steps_against_the_gradient():
    value = Adam(np.ones(2, dtype=np.float32), 0.1)
    value.step(np.array([1.0, -3.0], dtype=np.float32))
    assert value.value.tolist() == pytest.approx([0.9, 1.1])


def test_every_signal_is_in_a_group_and_what_tells_the_used_apart_gets_more():
    assert {factors.group(s) for s in SIGNALS} == set(factors.GROUPS)
    assert (factors.group("cosine"), factors.group("session_bm25")) == ("meaning", "words around")
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(40):
        parts = rng.normal(size=(20, len(factors.GROUPS)))
        used = np.arange(20) == parts[:, factors.GROUPS.index("meaning")].argmax()
        cases.append(factors.Case(parts, used))
    found = factors.fit(cases)
    assert found["meaning"] == max(found.values()) > 1.5
    assert all(np.exp(-factors.MOST) - 1e-3 <= f <= np.exp(factors.MOST) + 1e-3 for f in found.values())
    assert factors.fit([]) == dict.fromkeys(factors.GROUPS, 1.0)
    assert factors.apply({"cosine": 2.0, "bm25": 1.0}, {"meaning": 3.0}) == {"cosine": 6.0, "bm25": 1.0}
