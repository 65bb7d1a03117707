"""Figures of continual learning against their definitions, by hand and on textbook streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.metrics import Accuracies, kept


def seen(*looks):
    """Looks as (accuracies, whether a task ends), one step apart."""
    found = Accuracies(len(looks[0][0]))
    for step, (values, end) in enumerate(looks, 1):
        found.look(step, values, end)
    return found


def test_every_figure_by_hand():
    looks = seen(
        ((0.9, 0.1, 0.2), True),
        ((0.5, 0.4, 0.2), False),
        ((0.7, 0.8, 0.3), True),
        ((0.3, 0.6, 0.7), False),
        ((0.6, 0.7, 0.9), True),
    )
    found = kept(looks, before=(0.1, 0.1, 0.1), window=1)
    assert found.accuracy == pytest.approx((0.6 + 0.7 + 0.9) / 3)
    assert found.anytime == pytest.approx((0.9 + (0.7 + 0.8) / 2 + (0.6 + 0.7 + 0.9) / 3) / 3)
    assert found.learning == pytest.approx((0.9 + 0.8 + 0.9) / 3)
    assert found.forgetting == pytest.approx(((0.9 - 0.6) + (0.8 - 0.7)) / 2)
    assert found.backward == pytest.approx(((0.6 - 0.9) + (0.7 - 0.8)) / 2)
    assert found.forward == pytest.approx(((0.1 - 0.1) + (0.3 - 0.1)) / 2)
    assert found.lowest == pytest.approx((0.3 + 0.6) / 2)
    assert found.worst_case == pytest.approx(0.9 / 3 + 2 / 3 * (0.3 + 0.6) / 2)
    assert found.gap == pytest.approx(((0.9 - 0.5) + (0.8 - 0.6)) / 2)
    assert found.windowed_forgetting == pytest.approx((0.4 + 0.2 + 0.0) / 3)
    assert found.windowed_plasticity == pytest.approx((0.3 + 0.4 + 0.4) / 3)


def test_forgetting_counts_from_the_best_and_backward_transfer_from_the_end_of_the_task():
    """A task that got better before it was lost: the two definitions of the field differ, and both are here."""
    found = kept(seen(((0.5, 0.0, 0.0), True), ((0.9, 0.9, 0.0), True), ((0.5, 0.9, 0.9), True)))
    assert found.forgetting == pytest.approx(0.2)
    assert found.backward == 0


@given(
    st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(st.floats(0, 1), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
def test_figures_agree_with_each_other(rows):
    found = kept(seen(*((tuple(row), True) for row in rows)))
    assert found.forgetting >= -found.backward - 1e-9  # the best is at least what it was when learned
    assert found.gap <= found.windowed_forgetting * len(rows) / (len(rows) - 1) + 1e-9
    assert 0 <= found.worst_case <= 1


def test_a_table_that_is_not_whole_is_refused():
    with pytest.raises(InvalidInput, match="1 of 2 tasks"):
        kept(seen(((0.1, 0.2), True)))
    with pytest.raises(InvalidInput, match="give 2 accuracies"):
        Accuracies(2).look(1, (0.1,))
