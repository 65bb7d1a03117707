"""Chains of statements: which held at a moment, which was the first and the one before, and what tells an end."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.text.recall.chain import LIKELY, Chain, held_at, placed
from mnemos.text.recall.held import Held

HOMES = [
    ("Got the keys to a studio in Antwerp.", "2013-03-10"),
    ("Packed up Antwerp and settled in Namur.", "2016-07-22"),
    ("My cousin would love to live in Ghent.", "2017-02-02"),
    ("Namur turned out too quiet, so it's Liège from today.", "2019-10-05"),
]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("chain")) as memory:
        space = memory.space("ana")
        for text, day in HOMES:
            space.add(text, at=day)
        yield space


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where did I live in 2018?", 1),
        ("Where did I live before Liège?", 1),
        ("What was my first home?", 0),
        ("What was my previous home?", 1),
        ("Until when did I live in Antwerp?", 1),
        ("Where did I live in 2014?", 0),
        ("Where was I living in 2021?", 3),
    ],
)
def test_the_middle_of_a_history_is_found_without_common_words(space, question, answer):
    assert space.search(question, asked_at="2025-01-01")[0].cube.text == HOMES[answer][0]


def chain(chances, starts):
    n = len(chances)
    return Chain([Held(s) for s in starts], np.array(chances), np.zeros((n, n)), np.zeros((n, n)))


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.sampled_from([0, 1, 2, -2]))
def test_a_place_is_counted_over_every_choice_of_what_states_it(chances, order):
    counted = [p if p >= LIKELY else 0.0 for p in chances]
    expected = np.zeros(len(chances))
    for choice in itertools.product([0, 1], repeat=len(chances)):
        stated = [i for i, c in enumerate(choice) if c]
        for i in range(len(chances)):
            beside = [j for j in stated if j != i]
            p = np.prod([counted[j] if j in beside else 1 - counted[j] for j in range(len(chances)) if j != i])
            rank = sum(j < i for j in beside) if order >= 0 else -1 - sum(j > i for j in beside)
            expected[i] += (rank == order) * p * chances[i] / 2  # each is met with and without i
    assert placed(chain(chances, range(len(chances))), order) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=6), st.integers(0, 9))
def test_what_had_not_begun_did_not_hold_and_all_is_one_at_most(rows, moment):
    found = held_at(chain([p for p, _ in rows], [s for _, s in rows]), moment)
    assert all(p == 0 for p, (_, start) in zip(found, rows, strict=True) if start > moment)
    assert 0 <= found.sum() <= 1 + 1e-9
