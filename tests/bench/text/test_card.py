"""The evaluation card, its significance, and the gate that blocks bad updates."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import card, card_gate
from mnemos.bench.text.significance import compare_all, holm, mcnemar


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=30)
def test_mcnemar_is_the_exact_binomial_test_of_what_one_alone_answers(pairs):
    first, second = zip(*pairs, strict=True)
    only = [sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)]
    expected = binomtest(only[0], sum(only)).pvalue if sum(only) else 1
    assert mcnemar(first, second) == pytest.approx(expected)


def test_holm_is_that_of_its_definition():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_every_pair_is_compared():
    rows = compare_all({"a": [True] * 8, "b": [False] * 8, "c": [True] * 8})
    assert {row["pair"]: (row["only_first"], row["only_second"]) for row in rows} == {
        "a / b": (8, 0), "a / c": (0, 0), "b / c": (0, 8),
    }  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return card.run(card.Options(users=1, conversations=6, each=1, embedder="none"), SILENT)


def test_live_knows_more_than_a_frozen_index_and_that_more_than_a_guess(found):
    correct = [found["settings"][name]["correct"] for name in card.SETTINGS]
    assert correct[0] < correct[1] < correct[2]
    assert found["settings"]["closed book"]["faithful"] < 0.5
    assert found["replay"] >= 0.75


def test_the_gate_keeps_good_edits_blocks_bad_ones_and_the_log_replays_each_decision(found):
    gate = found["gate"]
    assert gate["good"] >= 1
    assert gate["bad"] >= 1
    assert gate["good admitted"] == gate["bad blocked"] == gate["answers restored"] == gate["replayed"] == 1
    assert card.unsound(found) is None
    assert "passed" in card.unsound({"gate": gate | {"bad blocked": 0.5}})
    assert "replaying" in card.unsound({"gate": gate | {"replayed": 0.5}})


def test_a_gate_admits_what_changes_its_own_answer_alone():
    assert card_gate.admits(["a", "b"], ["c", "b"], 0, "c")
    assert not card_gate.admits(["a", "b"], ["a", "b"], 0, "c")
    assert not card_gate.admits(["a", "b"], ["c", "d"], 0, "c")
