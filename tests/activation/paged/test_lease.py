"""Leases: the best time to live in closed form, what is learned, and what happens with few samples."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from mnemos.activation.paged.lease import Continuum, FixedTtl, best_ttl  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402

seconds = st.floats(0, 100, allow_nan=False)


@pytest.mark.parametrize("charge", ["ttl", "held"])
def test_a_tool_that_always_takes_the_same_is_waited_for_if_that_pays(charge):
    always = np.full(50, 3.0)
    assert best_ttl(always, 3.1, charge=charge) == 3.0
    assert best_ttl(always, 2.9, charge=charge) == 0.0
    assert best_ttl(always, 2.9, price=0.9, charge=charge) == 3.0


def test_of_a_fast_and_a_slow_way_the_ones_that_pay_are_waited_for():
    """Share p takes a, the rest b: the scores of tau a and b are p g - a and g - b, or g - p a - (1 - p) b held."""
    a, b, p = 1.0, 10.0, 0.8
    durations = np.array([a] * 80 + [b] * 20)
    for gain in (1.0, 1.3, 5.0, 20.0, 44.0, 46.0, 60.0):
        paid = {0.0: 0.0, a: p * gain - a, b: gain - b}
        held = {0.0: 0.0, a: p * gain - a, b: gain - p * a - (1 - p) * b}
        assert best_ttl(durations, gain) == max(paid, key=paid.get), gain
        assert best_ttl(durations, gain, charge="held") == max(held, key=held.get), gain


def test_exponential_durations_have_their_closed_forms():
    """At rate r: tau = log(gain r) / r where tau is charged; where the held time is, it is all or nothing at 1 / r."""
    rate, n = 0.5, 20_000
    durations = -np.log1p(-(np.arange(n) + 0.5) / n) / rate
    for gain in (4.0, 10.0, 40.0):
        assert best_ttl(durations, gain) == pytest.approx(math.log(gain * rate) / rate, abs=0.05)
    assert best_ttl(durations, 1.9) == pytest.approx(0.0, abs=1e-3)
    assert best_ttl(durations, 1.9, charge="held") == pytest.approx(0.0, abs=1e-3)
    assert best_ttl(durations, 2.1, charge="held") > 10


@settings(max_examples=100, deadline=None)
@given(st.lists(seconds, min_size=1, max_size=30), seconds, st.floats(0, 3), st.sampled_from(["ttl", "held"]))
def test_no_other_time_scores_more(durations, gain, price, charge):
    durations = np.sort(durations)

    def score(tau):
        cost = tau if charge == "ttl" else np.minimum(durations, tau).mean()
        return (durations <= tau).mean() * gain - price * cost

    best = best_ttl(durations, gain, price, charge)
    others = [0.0, *durations, *(durations / 2), durations[-1] + 1]
    assert score(best) >= max(map(score, others)) - 1e-9


def test_few_samples_take_the_fixed_time_then_those_of_all_tools_then_their_own():
    lease = Continuum(default=7.0, samples=3)
    for _ in range(3):
        lease.record_tool("fast", 1.0)
    assert lease.ttl("fast", 100.0) == 7.0
    for _ in range(3):
        lease.record_tool("slow", 20.0)
    assert lease.ttl("fast", 100.0) == 20.0  # of all
    lease.record_tool("fast", 1.0)
    assert lease.ttl("fast", 100.0) == 1.0
    assert lease.ttl("never seen", 100.0) == 20.0


def test_the_expected_wait_counts_as_much_as_eta_says():
    lease = Continuum(samples=1, window=2)
    for _ in range(2):
        lease.record_tool("tool", 5.0)
    assert lease.ttl("tool", 1.0) == 0.0
    for wait in (100.0, 4.0, 6.0):  # the first has left the window
        lease.record_wait(wait)
    assert lease.wait == 5.0
    assert lease.ttl("tool", 1.0) == 5.0  # 1 * 5 + 1 > 5
    for turns in (2, 3, 9, 4, 20):
        lease.record_program(turns)
    k = np.concatenate([np.arange(1, n) for n in (2, 3, 9, 4, 20)])
    rest = np.concatenate([n - np.arange(1, n) for n in (2, 3, 9, 4, 20)])
    assert lease.eta == pytest.approx(-np.corrcoef(k, rest)[0, 1])
    assert lease.eta < 0.8
    assert lease.ttl("tool", 1.0) == 0.0


def test_eta_is_one_for_programs_of_one_length():
    lease = Continuum()
    assert lease.eta == 1.0
    lease.record_program(1)
    lease.record_program(2)
    assert lease.eta == 1.0
    fixed = Continuum()
    for _ in range(5):
        fixed.record_program(8)
    assert fixed.eta == pytest.approx(1.0)


def test_old_durations_leave_the_history():
    lease = Continuum(samples=1, history=4)
    for took in (9.0, 9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0):
        lease.record_tool("tool", took)
    assert lease.ttl("tool", 100.0) == 1.0


def test_a_fixed_lease_learns_nothing():
    lease = FixedTtl(3.0)
    lease.record_tool("tool", 1.0), lease.record_wait(9.0), lease.record_program(2)
    assert lease.ttl("tool", 50.0) == 3.0


def test_impossible_settings_and_durations_are_refused():
    with pytest.raises(InvalidInput, match="counts of 1 or more"):
        Continuum(samples=0)
    with pytest.raises(InvalidInput, match="choose 'ttl' or 'held'"):
        Continuum(charge="both")
    for took in (-1.0, math.inf, math.nan):
        with pytest.raises(InvalidInput, match="'tool' took"):
            Continuum().record_tool("tool", took)
