"""Which form a memory has: the cheapest for its use, never weights for what is at risk; and the year that shows it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mnemos.bench.parametric import year as simulation
from mnemos.bench.parametric.year import KINDS, KV, TEXT, Year, always, by_schedule, live, make_year, oracle
from mnemos.errors import InvalidInput
from mnemos.migrate.form_schedule import FORMS, FormCosts, FormSchedule, MemoryUse

COSTS = FormCosts(prefill=0.005, kv_bytes=46_080, load=2e-9, train=60, weight_bytes=1e6, attach=0.001, behind=2e-4)
HOT = MemoryUse(tokens=300, facts=3, recalls=4_000, age=100, idle=0)
SCHEDULE = FormSchedule()


def form(**changes):
    return SCHEDULE.choose(replace(HOT, **changes), COSTS).form


def test_the_more_a_memory_is_recalled_the_further_up_it_goes():
    found = [form(recalls=n, idle=idle) for n, idle in ((0, 100), (1, 30), (30, 0), (4_000, 0))]
    assert found == ["text", "text", "kv", "weights"]
    assert form(recalls=1, read=True) == "kv", "what was just recalled may be again tomorrow"


def test_it_moves_down_when_use_fades_and_does_not_when_nothing_changed():
    assert form(form="weights") == "weights"
    assert form(form="kv", recalls=20, idle=1) == "kv"
    assert form(form="kv", recalls=20, idle=60) == "text"
    large = replace(COSTS, weight_bytes=1e9)
    assert SCHEDULE.choose(replace(HOT, form="weights", idle=60), large).form == "text", (
        "its bytes cost, and nobody asks"
    )


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ({"private": True}, "private"), ({"forget_in": 5.0}, "forgotten in 5 days"), ({"refused": True}, "gate"),
        ({"changes": 5, "settled": 2.0}, "changed 5 times"),
    ],
)  # fmt: skip
def test_what_is_at_risk_never_becomes_weights_and_leaves_them(risk, said):
    for now in FORMS:
        choice = SCHEDULE.choose(replace(HOT, form=now, **risk), COSTS)
        assert choice.form == "kv"
        assert said in choice.reason
        assert "weights" not in choice.costs
    assert form(changes=5, settled=90.0, age=2_000, recalls=80_000) == "weights", "it has settled"


def test_costs_decide():
    assert form(recalls=40) == "kv"
    cheap = replace(COSTS, train=0.01)
    assert SCHEDULE.choose(replace(HOT, recalls=40), cheap).form == "weights"
    dear = replace(COSTS, disk=1e6)
    assert SCHEDULE.choose(replace(HOT, recalls=40), dear).form == "text"
    with pytest.raises(InvalidInput):
        FormSchedule(half_life=0)


def small(rng, n=4, days=5):
    gone = rng.integers(2, days + 1, n)
    born = np.minimum(rng.integers(0, 2, n), gone - 1)
    made = Year(
        rng.poisson(0.9, (n, days)), rng.random((n, days)) < 0.15, born, gone, rng.random(n) < 0.5, rng.random(n) < 0.3,
        rng.random(n) < 0.3, rng.integers(50, 400, n), rng.integers(1, 4, n),
    )  # fmt: skip
    return replace(made, recalls=made.recalls * made.alive, changed=made.changed & made.alive)


@pytest.mark.parametrize("seed", range(3))
def test_the_oracle_is_the_best_of_all_ways_through_a_year(seed):
    rng = np.random.default_rng(seed)
    year, costs = small(rng, n=1), replace(COSTS, train=0.2, disk=8.0, missed=0.1)
    ways = itertools.product(range(3), repeat=year.recalls.shape[1])
    least = min(
        live(year, costs, lambda day, form, past, way=way: np.full(len(form), way[day]), caching=True).total
        for way in ways
    )
    assert oracle(year, costs) == pytest.approx(least)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_cheaper_than_the_oracle_and_rules_are_kept(kind, monkeypatch):
    monkeypatch.setattr(simulation, "DAYS", 90)
    year = make_year(kind, 1, 20, 6, 0.3)
    least = oracle(year, COSTS)
    choices = [*(always(f) for f in FORMS), by_schedule(year, COSTS, SCHEDULE)]
    for choose in choices:
        ledger = live(year, COSTS, choose, caching=True)
        assert ledger.total >= least - 1e-6
        assert ledger.by_day.sum() == pytest.approx(ledger.total)
        assert not (ledger.forms[year.private | year.refused] == simulation.WEIGHTS).any()
        assert ((ledger.forms >= 0) == year.alive).all()


def test_a_text_is_read_once_a_day_where_it_is_cached():
    price = simulation.Prices.of(make_year("steady", 0, 3, 3, 0), COSTS)
    used, text = np.array([0, 1, 5]), np.full(3, TEXT)
    once = simulation._of_day(price, used, text, True)
    assert once[0] == 0
    assert once[1] == price.recall[1, TEXT]
    assert once[2] == pytest.approx(price.recall[2, TEXT] + 4 * price.recall[2, KV])
    assert simulation._of_day(price, used, text, False)[2] == pytest.approx(5 * price.recall[2, TEXT])
