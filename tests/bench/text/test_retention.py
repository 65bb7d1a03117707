"""The simulated year: the same on every run, sane at its ends, and drawn."""

import importlib

import numpy as np
import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import retention, retention_tables
from mnemos.errors import InvalidInput, MnemosError
from mnemos.text.forget.laws import load_law

SMALL = {"seeds": 2, "memories": 400, "days": 90, "questions": 12.0}


@pytest.fixture(scope="module")
def result():
    return run(3, **SMALL)


def run(seed=3, **options):
    return retention.run(retention.Options(seed=seed, **options), SILENT)


def mean(result, kind, law, budget="0.25"):
    return result["kinds"][kind]["accuracy"][law][budget]["mean"]


def test_the_same_seed_gives_the_same_result(result):
    assert run(3, **SMALL) == result
    assert run(4, **SMALL) != result


@pytest.mark.parametrize("kind", retention.KINDS)
def test_the_laws_stand_in_a_sane_order(result, kind):
    for law, cells in result["kinds"][kind]["accuracy"].items():
        means = [cell["mean"] for cell in cells.values()]
        assert means == sorted(means), law  # a larger store answers more
        for budget in cells:
            assert mean(result, kind, law, budget) <= mean(result, kind, "oracle", budget), (law, budget)
    assert mean(result, kind, "lru") > mean(result, kind, "fifo")
    assert mean(result, kind, "ebbinghaus") > mean(result, kind, "fifo") + 0.1
    assert mean(result, kind, "ttl") == mean(result, kind, "fifo")
    assert mean(result, kind, "ttl (sliding)") == mean(result, kind, "lru")


def test_a_store_for_all_answers_all():
    cells = run(0, **SMALL, budgets=(1.0,), kinds=("stationary",))["kinds"]["stationary"]["accuracy"]
    assert {cell["1"]["mean"] for cell in cells.values()} == {1.0}


def test_a_year_is_in_order_and_asks_for_what_is_there():
    year = retention.make("bursty", np.random.default_rng(0), 300, 60, 10.0)
    assert (np.diff(year.created) >= 0).all()
    assert (np.diff(year.asked_at) >= 0).all()
    assert (year.created[year.asked] < year.asked_at).all()
    counted = retention.measured(year)
    assert (year.asked_at[counted] - year.created[year.asked[counted]] > 1).all()
    assert year.asked_at[counted].min() >= retention.START + 30


def test_the_budget_is_kept():
    year = retention.make("stationary", np.random.default_rng(0), 300, 60, 10.0)
    outcome = retention.simulate(load_law("lru"), year, (0.1, 0.5))
    assert list(outcome.alive.sum(axis=1)) == [30, 150]


def test_fifo_keeps_the_newest_and_heat_what_was_recalled():
    year = retention.make("stationary", np.random.default_rng(0), 300, 60, 10.0)
    fifo = retention.simulate(load_law("fifo"), year, (0.25,))
    assert np.flatnonzero(fifo.alive[0]).tolist() == list(range(225, 300))
    heat = retention.simulate(load_law("memoryos-heat"), year, (0.25,))
    assert heat.recalls[0][heat.alive[0]].mean() > heat.recalls[0][~heat.alive[0]].mean()


def test_unknown_kinds_and_budgets_are_refused():
    with pytest.raises(InvalidInput, match="choose from stationary, drifting, bursty"):
        run(kinds=("quiet",))
    with pytest.raises(InvalidInput, match="above 0 and up to 1"):
        run(budgets=(0.0,))
    with pytest.raises(InvalidInput, match="counts of 1 or more"):
        run(days=0)


def test_a_year_without_questions_is_a_year():
    year = retention.make("stationary", np.random.default_rng(0), 20, 5, 1e-9)
    assert retention.simulate(load_law("power"), year, (0.5,)).hits.tolist() == [0]


def test_a_kind_that_was_not_run_has_a_table_without_rows(result):
    alone = {"kinds": {"stationary": result["kinds"]["stationary"]}}
    assert retention_tables.accuracy("drifting")(alone) == [["law, drifting stream"]]
    assert len(retention_tables.accuracy("stationary")(alone)) == 1 + len(alone["kinds"]["stationary"]["accuracy"])


def test_the_figure_is_drawn(result, tmp_path):
    pytest.importorskip("matplotlib")
    path = retention_tables.plot(result, tmp_path / "retention.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_without_matplotlib_the_figure_says_what_to_install(result, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MnemosError, match=r"pip install 'mnemos-os\[bench\]'"):
        retention_tables.plot(result, tmp_path / "retention.png")
