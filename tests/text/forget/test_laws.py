"""The laws of forgetting: their closed forms, and what must hold for any life."""

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput, NotFound
from mnemos.text.base import Histories
from mnemos.text.forget.laws import law_names, load_law

DAY0 = 20_000.0
MINUTE = 1 / 1440


def histories(created=(DAY0,), recalled=None, recalls=None, strength=None, size=None, tier=None):
    n = len(created)
    return Histories(
        created=np.asarray(created, dtype=float),
        recalled=np.asarray(created if recalled is None else recalled, dtype=float),
        recalls=np.asarray([0] * n if recalls is None else recalls, dtype=np.int64),
        strength=np.asarray([1.0] * n if strength is None else strength, dtype=float),
        size=np.asarray([200] * n if size is None else size, dtype=np.int64),
        tier=np.asarray([0] * n if tier is None else tier, dtype=np.int64),
    )


def after_recall(law, them, now):
    strength, layer = law.reinforce(them, now)
    return replace(
        them, strength=strength, tier=layer, recalls=them.recalls + 1, recalled=np.full(len(them), float(now))
    )


def recalled_at(law, times):
    them = histories()
    for now in times:
        them = after_recall(law, them, now)
    return them


# Closed forms


def test_ebbinghaus_is_exp_of_minus_t_over_s():
    law = load_law("ebbinghaus")
    them = histories(created=[DAY0] * 3, strength=[1, 2, 5])
    assert law.retention(them, DAY0 + 3) == pytest.approx([math.exp(-3), math.exp(-1.5), math.exp(-0.6)])
    assert law.retention(them, DAY0) == pytest.approx([1, 1, 1])


def test_ebbinghaus_of_the_paper_wins_a_day_a_recall():
    law = load_law("ebbinghaus", spaced=False)
    them = recalled_at(law, [DAY0 + 1, DAY0 + 5])
    assert them.strength == pytest.approx([3])
    assert law.retention(them, DAY0 + 11) == pytest.approx([math.exp(-2)])


def test_ebbinghaus_spaced_wins_what_had_been_forgotten():
    law = load_law("ebbinghaus")
    first = 1 + 1 - math.exp(-1)
    assert recalled_at(law, [DAY0 + 1]).strength == pytest.approx([first])
    assert recalled_at(law, [DAY0 + 1, DAY0 + 3]).strength == pytest.approx([first + 1 - math.exp(-2 / first)])


def test_power_is_a_power_of_time():
    law = load_law("power")
    assert law.retention(histories(created=[DAY0] * 2, strength=[1, 2]), DAY0 + 15) == pytest.approx([1 / 4, 1 / 2])
    assert load_law("power", b=2.0, d=1.0).retention(histories(), DAY0 + 2) == pytest.approx([1 / 5])
    assert recalled_at(law, [DAY0 + 3]).strength == pytest.approx([1.5])
    assert recalled_at(load_law("power", spaced=False), [DAY0 + 3]).strength == pytest.approx([2])


def test_heat_adds_visits_pages_and_recency():
    law = load_law("memoryos-heat")
    them = histories(created=[DAY0] * 3, recalls=[0, 4, 0], size=[200, 200, 2048])
    recency = math.exp(-10 * 86_400 / 1e7)
    assert law.retention(them, DAY0 + 10) == pytest.approx([1 + recency, 5 + recency, 2 + recency])
    other = load_law("memoryos-heat", a=2.0, b=3.0, c=5.0, mu=10.0)
    assert other.retention(them, DAY0 + 10) == pytest.approx([x + 5 / math.e for x in (3, 11, 6)])


def test_layered_forgets_at_the_pace_of_the_layer():
    them = histories(created=[DAY0] * 3, tier=[0, 1, 2])
    kept = load_law("layered").retention(them, DAY0 + 30)
    assert kept == pytest.approx([math.exp(-30 / 14), math.exp(-30 / 90), math.exp(-30 / 365)])


def test_layered_climbs_with_use():
    law, them, layers = load_law("layered"), histories(), []
    for day in range(1, 8):
        them = after_recall(law, them, DAY0 + day)
        layers.append(int(them.tier[0]))
    assert layers == [0, 1, 1, 1, 1, 2, 2]
    assert law.reinforce(histories(tier=[2]), DAY0)[1] == [2]  # who is above already stays there


def test_use_fades_with_age_and_rises_on_retrieval():
    law = load_law("hema")
    them = histories(created=[DAY0] * 3, recalls=[0, 1, 1], recalled=[DAY0, DAY0 + 9, DAY0 + 1])
    fresh = math.exp(-0.002 * 16 * 10)
    assert law.retention(them, DAY0 + 10) == pytest.approx([fresh, fresh + 0.5, fresh])


def test_hebbian_counts_down_and_is_extended_by_attention():
    law = load_law("hebbian")
    assert law.retention(histories(), DAY0 + 4) == pytest.approx([5])
    assert law.retention(recalled_at(law, [DAY0 + 1]), DAY0 + 4) == pytest.approx([13])
    two = histories(created=[DAY0] * 2)
    strength, layer = law.reinforce(two, DAY0 + 1, np.array([0.75, 0.25]))
    assert law.retention(replace(two, strength=strength, tier=layer), DAY0 + 4) == pytest.approx([17, 9])


def test_ttl_counts_from_birth_or_from_the_last_recall():
    them = histories(recalled=[DAY0 + 20], recalls=[1])
    assert load_law("ttl").retention(them, DAY0 + 31) == pytest.approx([-1])
    assert load_law("ttl", days=7.0).retention(them, DAY0 + 5) == pytest.approx([2])
    assert load_law("ttl", sliding=True).retention(them, DAY0 + 31) == pytest.approx([19])


def test_the_baselines_rank_as_they_are_called():
    them = histories(created=[DAY0, DAY0 + 1, DAY0 + 2], recalled=[DAY0 + 9, DAY0 + 1, DAY0 + 5], recalls=[1, 0, 1])
    assert list(np.argsort(load_law("fifo").retention(them, DAY0 + 10))) == [0, 1, 2]
    assert list(np.argsort(load_law("lru").retention(them, DAY0 + 10))) == [1, 2, 0]


def test_random_is_even_and_the_same_on_every_call():
    them = histories(created=DAY0 + np.arange(10_000) / 100)
    lots = load_law("random").retention(them, DAY0 + 200)
    assert np.array_equal(lots, load_law("random").retention(them, DAY0 + 900))
    assert np.histogram(lots, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 1_000), abs=120)
    assert abs(np.corrcoef(lots, them.created)[0, 1]) < 0.03
    assert abs(np.corrcoef(lots, load_law("random", seed=1).retention(them, DAY0))[0, 1]) < 0.03
    assert np.array_equal(
        lots[7:9], load_law("random").retention(histories(created=them.created[7:9]), DAY0)
    )  # whoever else is there


# What holds for all

BUILDS = [*((name, {}) for name in law_names()), ("ebbinghaus", {"spaced": False}), ("ttl", {"sliding": True})]
one_law = pytest.mark.parametrize(("name", "constants"), BUILDS)


@st.composite
def any_lives(draw):
    """Return (histories, now): up to 8 memories that may have been recalled, at a time after all of that."""
    n = draw(st.integers(1, 8))
    days = st.floats(0, 400, allow_nan=False)
    some = [(draw(days), draw(days), draw(st.integers(0, 50))) for _ in range(n)]
    created = [DAY0 + b for b, _, _ in some]
    recalled = [DAY0 + b + (r if k else 0) for b, r, k in some]
    them = histories(
        created=created,
        recalled=recalled,
        recalls=[k for _, _, k in some],
        strength=[1 + draw(st.floats(0, 1)) * k for _, _, k in some],
        size=[draw(st.integers(1, 10_000)) for _ in range(n)],
        tier=[draw(st.integers(0, 2)) for _ in range(n)],
    )
    return them, max(recalled) + draw(days)


@one_law
@given(case=any_lives(), later=st.floats(0, 1_000))
def test_nobody_deserves_more_by_waiting(name, constants, case, later):
    law, (them, now) = load_law(name, **constants), case
    before, after = law.retention(them, now), law.retention(them, now + later)
    assert before.shape == after.shape == (len(them),)
    assert np.isfinite(after).all()
    assert (after <= before + 1e-9).all()
    if name in ("fifo", "random"):
        assert np.array_equal(before, after)
    if name in ("ebbinghaus", "power", "layered", "random"):
        assert ((after >= 0) & (before <= 1)).all()


@one_law
@given(case=any_lives(), later=st.floats(0, 1_000))
def test_a_recall_never_lowers_what_a_memory_deserves(name, constants, case, later):
    law, (them, now) = load_law(name, **constants), case
    after = after_recall(law, them, now)
    assert after.strength.shape == after.tier.shape == (len(them),)
    assert after.tier.dtype == np.int64
    assert (after.strength >= them.strength).all()
    assert (law.retention(after, now) >= law.retention(them, now) - 1e-9).all()
    assert (law.retention(after, now + later) >= law.retention(them, now + later) - 1e-9).all()


@one_law
@given(case=any_lives())
def test_a_memory_is_judged_by_its_own_life(name, constants, case):
    law, (them, now) = load_law(name, **constants), case
    alone = replace(
        them, **{f: getattr(them, f)[:1] for f in ("created", "recalled", "recalls", "strength", "size", "tier")}
    )
    assert law.retention(alone, now)[0] == law.retention(them, now)[0]
    assert law.reinforce(alone, now)[0][0] == law.reinforce(them, now)[0][0]


@pytest.mark.parametrize("name", ["ebbinghaus", "power"])
@given(start=st.floats(0, 30), gap=st.floats(0.5, 60))
def test_ten_recalls_in_a_minute_are_not_ten_in_ten_weeks(name, start, gap):
    law = load_law(name)
    massed = recalled_at(law, [DAY0 + start + i * MINUTE / 10 for i in range(10)])
    spaced = recalled_at(law, [DAY0 + start + i * 7 for i in range(10)])
    assert massed.strength < spaced.strength
    assert law.retention(massed, massed.recalled[0] + gap) < law.retention(spaced, spaced.recalled[0] + gap)


def test_by_the_paper_ten_recalls_in_a_minute_are_as_good():
    law = load_law("ebbinghaus", spaced=False)
    massed = recalled_at(law, [DAY0 + 1 + i * MINUTE / 10 for i in range(10)])
    assert massed.strength == recalled_at(law, [DAY0 + 1 + i * 7 for i in range(10)]).strength == [11]


@pytest.mark.parametrize("strength", [1.0, 4.0, 20.0])
def test_survival_follows_the_curve(strength):
    """Each memory stays as long as its retention is above its lot: a share exp(-t / S) of them stays for t days."""
    law, n = load_law("ebbinghaus"), 20_000
    lots = np.random.default_rng(0).uniform(size=n)
    them = histories(created=[DAY0] * n, strength=[strength] * n)
    days = np.linspace(0, 3 * strength, 25)
    kept = np.array([(law.retention(them, DAY0 + t) > lots).mean() for t in days])
    assert np.sqrt(np.mean((kept - np.exp(-days / strength)) ** 2)) < 0.01
    slope = np.polyfit(days, np.log(kept), 1)[0]
    assert -1 / slope == pytest.approx(strength, rel=0.05)


# Loading


def test_laws_are_frozen_and_take_their_constants():
    law = load_law("ebbinghaus", days=2.0)
    assert law.retention(histories(), DAY0 + 2) == pytest.approx([math.exp(-1)])
    with pytest.raises(FrozenInstanceError):
        law.days = 3.0


def test_an_unknown_law_names_the_laws():
    with pytest.raises(NotFound, match="'oblivion'.*ebbinghaus, fifo, hebbian.*random, ttl"):
        load_law("oblivion")


def test_an_unknown_constant_names_the_constants():
    with pytest.raises(InvalidInput, match="no constant tau: its constants are days, gain, spaced"):
        load_law("ebbinghaus", tau=1.0)
    with pytest.raises(InvalidInput, match="it has none"):
        load_law("fifo", days=1.0)
