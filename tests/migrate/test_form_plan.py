"""A plan for a space: what is recalled most becomes weights, what is at risk does not, and what is over goes again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos import Mnemos
from mnemos.migrate.form_schedule import FormCosts
from tests.migrate import low_rank
from tests.migrate.low_rank import Letters, LowRank, learn, tiny
from tests.migrate.test_weights_learning import OPEN, how

T0 = datetime(2026, 1, 1, tzinfo=UTC)
COSTS = FormCosts(prefill=0.005, kv_bytes=46_080, load=2e-9, train=60, weight_bytes=1e6, attach=0.001, behind=2e-4)
SAID = "I moved to Faro. " * 40


@pytest.fixture
def space(tmp_path, clock, monkeypatch):
    low_rank.use(monkeypatch.setattr)
    with Mnemos(tmp_path / "root", embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def recalled(space, clock, times, text=SAID, **given):
    """Add a text that was recalled so often in a hundred days."""
    cube = space.add(text, id=None, reconcile=False, at=T0, **given)
    now = int((clock.now + timedelta(days=100)).timestamp() * 1e6)
    space.store.lives.count_uses([(cube.id, times, now)])
    return cube


def plan(space, clock, **options):
    clock.now = T0 + timedelta(days=100)
    space.flush()
    return {move.id: move for move in space.weights.tend(None, Letters(), COSTS, **options)}


def test_what_is_recalled_most_is_to_become_weights_and_what_is_at_risk_is_not(space, clock):
    hot = recalled(space, clock, 9_000, speaker="a")
    cold = recalled(space, clock, 0, speaker="b")
    private = recalled(space, clock, 9_000, speaker="c", metadata={"private": True})
    page = recalled(space, clock, 9_000, speaker="d", source="https://a.example/page")
    updated = recalled(space, clock, 9_000, speaker="e")
    clock.now = T0 + timedelta(days=95)
    for i in range(4):
        space.update(updated.id, content=f"{SAID} {i}")
    moves = plan(space, clock)
    assert {name: move.to for name, move in moves.items()} == {
        hot.id: "weights", private.id: "kv", page.id: "kv", updated.id: "kv"
    }  # fmt: skip
    assert cold.id not in moves
    assert "private" in moves[private.id].choice.reason
    assert "changed 4 times" in moves[updated.id].choice.reason
    assert "weights" in moves[hot.id].choice.costs
    assert plan(space, clock, days=20.0).get(hot.id).to == "kv", "the policy forgets it soon"
    assert space.weights.list() == [], "a preview moves nothing"


def test_it_is_learned_and_unlearned_as_planned_and_a_refusal_is_remembered(space, clock):
    model, hot = tiny(), recalled(space, clock, 9_000)
    clock.now = T0 + timedelta(days=100)
    options = {"preview": False, "into": LowRank()}
    refused = space.weights.tend(model, Letters(), COSTS, how=how(), **options)
    assert [(m.id, m.now, m.to) for m in refused] == [(hot.id, "text", "weights")]
    assert space.weights.list() == []
    again = space.weights.tend(model, Letters(), COSTS, how=how(gate=OPEN), **options)
    assert [m.to for m in again] == ["kv"], "the gate is not asked again while the text is the same"
    space.weights._refused.clear()
    space.weights.tend(model, Letters(), COSTS, how=how(gate=OPEN), **options)
    assert [w.parents for w in space.weights.list()] == [(hot.id,)]
    assert space.weights.tend(model, Letters(), COSTS, **options) == []
    [learned] = space.weights.list()
    space.archive([learned.id])
    assert [m.to for m in space.weights.tend(model, Letters(), COSTS, **options)] == ["kv"], "somebody put them away"
    space.unarchive([learned.id])
    assert space.weights.tend(model, Letters(), COSTS, **options) == []
    clock.now += timedelta(days=300)
    dear = replace(COSTS, weight_bytes=1e9)
    down = space.weights.tend(model, Letters(), dear, **options)
    assert [(m.now, m.to) for m in down] == [("weights", "text")]
    assert space.weights.list() == []
    assert space.get(hot.id).text


def test_weights_of_several_texts_stay_while_one_of_them_is_worth_it(space, clock):
    model, hot, cold = tiny(), recalled(space, clock, 9_000, speaker="a"), recalled(space, clock, 0, speaker="b")
    cube = learn(space, model, [space.get(hot.id), space.get(cold.id)])
    clock.now = T0 + timedelta(days=100)
    space.weights.tend(model, Letters(), replace(COSTS, weight_bytes=1e8), preview=False)
    assert [w.id for w in space.weights.list()] == [cube.id]
