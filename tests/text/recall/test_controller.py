"""A threshold that learns from outcomes, and keys that tell memories apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.text.recall.controller import Controller, rising
from mnemos.text.recall.whitened import reach, separate, whiten


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.1, 9)), min_size=1, max_size=12))
def test_pooled_values_never_fall_and_are_the_nearest_such(pairs):
    values, weights = np.array(pairs).T
    found = rising(values, weights)
    assert (np.diff(found) >= -1e-9).all()
    assert np.average(found, weights=weights) == pytest.approx(np.average(values, weights=weights))
    other = np.maximum.accumulate(values)  # any other that never falls is no nearer
    assert (weights * (found - values) ** 2).sum() <= (weights * (other - values) ** 2).sum() + 1e-9


def test_the_threshold_follows_what_is_of_use():
    controller = Controller()
    known = controller.start()
    rng = np.random.default_rng(0)
    seen = []
    for middle in (0.3, 0.8, 0.3):
        for score in rng.uniform(0, 1, 900):
            if score >= controller.threshold(known):
                known = controller.observe(known, float(score), bool(score > middle))
        seen.append(controller.threshold(known))
    assert seen == pytest.approx([0.3, 0.8, 0.3], abs=0.11)


def test_a_costly_mistake_raises_the_threshold_and_nothing_known_is_the_score_itself():
    assert Controller(bonus=0).threshold(Controller().start()) == pytest.approx(0.5, abs=0.05)
    assert Controller(bonus=0, cost=4).threshold(Controller().start()) == pytest.approx(0.8, abs=0.05)
    with pytest.raises(InvalidInput):
        Controller().observe(Controller().start(), 1.2, True)


def correlated(seed, n=40, width=64):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(1, width)) * 3 + rng.normal(size=(n, width))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_whitened_and_separated_keys_resemble_each_other_less_than_the_values():
    values = correlated(0)
    keys, cues = whiten(values, values, 1.0)
    assert np.allclose(keys, cues)
    codes = separate(values - values.mean(axis=0), 256, 10)
    assert ((codes > 0).sum(axis=1) == 10).all()

    def likeness(rows):
        return float((rows @ rows.T)[~np.eye(len(rows), dtype=bool)].mean())

    assert likeness(values) > 0.8
    assert abs(likeness(keys)) < 0.1
    assert abs(likeness(codes)) < 0.1


def test_what_a_better_cue_finds_was_not_lost():
    ranks = {"a": [0, 3], "b": [None, 2], "c": [12, 4], "d": [None, None], "e": []}
    states = {"a": "found", "b": "not reached", "c": "not reached", "d": "lost", "e": "lost"}
    assert reach(ranks, k=10) == states
