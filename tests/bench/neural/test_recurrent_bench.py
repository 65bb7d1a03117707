"""What `mnemos bench recurrent` writes, and its tasks against brute force."""

from random import Random

import pytest
import torch

from mnemos.bench.neural import recurrent
from mnemos.bench.neural.recurrence import (
    adding,
    batches,
    capacity,
    control,
    curriculum,
    delays,
    integration,
    kernels,
    signals,
    tracking,
    trees,
    waves,
    worlds,
)
from mnemos.bench.neural.recurrent import FIGURES
from mnemos.registry import get

RNG = torch.Generator


def test_a_result_says_of_a_method_what_its_part_found():
    rows = {
        "tree-lstm": {"right at depth 8": 0.9, "right at depth 8_sd": 0.01},
        "chain lstm": {"right at depth 8": 0.3},
    }
    result = {"parts": {"trees": {"rows": rows}}}
    found = recurrent.figure(result, get("tree-lstm"))
    assert found is not None
    assert found.text == "is right for 90.0 ± 1.0 % of expressions twice as deep as those of training"
    assert found.others == {"chain lstm": "30.0 %"}
    assert recurrent.figure(result, get("lem")) is None
    assert recurrent.table("trees", "trees")(result)[1] == ["tree-lstm", "90.0 ± 1.0 %"]


def test_every_figure_is_of_a_row_that_is_measured():
    modules = {
        "adding": adding,
        "capacity": capacity,
        "delays": delays,
        "tracking": tracking,
        "trees": trees,
        "waves": waves,
    }
    modules |= {"curriculum": curriculum, "kernels": kernels}
    for part, own, others, _, _ in FIGURES.values():
        if part in modules:
            assert {own, *others} <= set(modules[part].ROWS)


def test_a_run_keeps_cells_and_means(monkeypatch, tmp_path):
    monkeypatch.setattr(kernels, "STEPS", 2)
    monkeypatch.setattr(kernels, "ROWS", kernels.ROWS[:1])
    options = recurrent.Options(parts=("kernels",), seeds=(0, 1), cache=tmp_path)
    result = recurrent.run(options, _Silent())
    assert list(result["parts"]["kernels"]["rows"]) == ["slow kernel, equal weights"]
    assert "error at long lags_sd" in result["parts"]["kernels"]["rows"]["slow kernel, equal weights"]
    assert len(list(tmp_path.iterdir())) == 2


class _Silent:
    def expect(self, _steps):
        pass

    def __call__(self, _steps):
        pass


def test_expressions_have_the_value_that_python_gives():
    given = trees.expressions(4, 20, Random(0))

    def value(words):
        token = words.pop(0)
        if token < 10:
            return token
        a, b = value(words), value(words)
        return (min(a, b), max(a, b), (a + b) % 10)[token - 10]

    assert [value(list(words)) for words in given.written] == given.values.tolist()
    assert given.trees.level[given.trees.roots].tolist() == [4] * 20
    for row in (True, False):
        assert trees.TreeReader(row)(given).shape == (20, 10)
    assert trees.ChainReader()(given).shape == (20, 10)


def test_sums_and_matches_are_those_of_the_inputs():
    x, wanted = adding.adding(40, 50, RNG().manual_seed(0))
    torch.testing.assert_close((x[..., 0] * x[..., 1]).sum(1, keepdim=True), wanted)
    assert torch.equal(x[..., 1].sum(1), torch.full((50,), 2.0))
    x, wanted = delays.sums(60, RNG().manual_seed(0))
    ends = (slice(delays.SHOWN), slice(delays.LENGTH - delays.SHOWN, None))
    shown = [x[:, places, : delays.SYMBOLS].sum(1).argmax(1) for places in ends]
    assert torch.equal(shown[0] + shown[1], wanted[:, -1])
    inputs, targets = tracking.Modular()(5, RNG().manual_seed(0))
    assert targets[0].tolist() == [1 + int((inputs[0, : t + 1] - 1).sum()) % 5 for t in range(inputs.shape[1])]


def test_narma_is_its_definition_and_the_best_readout_of_a_delay_line_is_exact():
    u = signals.noise(60, 0, 0.0, 0.5)
    y = signals.narma10(u)
    t = 30
    wanted = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum() + 1.5 * u[t - 9] * u[t] + 0.1
    assert float(y[t + 1]) == pytest.approx(float(wanted), rel=1e-5)
    x = signals.noise(1500, 1)
    line = torch.stack([x.roll(k) for k in range(12)], 1)
    _, curve = signals.capacity(line, x, 20)
    assert float(curve[:11].min()) > 0.999
    assert float(curve[11:].max()) < 0.05


def test_the_equation_of_the_outlier_is_the_training_of_the_network_from_zero():
    u = torch.zeros(6, dtype=torch.float64)
    u[2] = 0.3
    weights = [torch.zeros(6, 6, dtype=torch.float64), u.clone(), u.clone()]
    for w in weights:
        w.requires_grad_(True)
    lags = torch.arange(integration.LAGS).double()
    kappa = torch.exp(-lags / 20)
    curve = integration.Curve(0.3, 0.0)
    for _ in range(30):
        loss = (integration.kernel(*weights) - kappa).square().sum()
        for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            w.data -= integration.RATE * g
        curve.step(lags, kappa)
    assert float(weights[0][2, 2].detach()) == pytest.approx(curve.eigenvalue, rel=1e-9)
    assert float(weights[1][2].detach()) == pytest.approx(curve.size, rel=1e-9)
    assert curve.eigenvalue > 0


def test_the_controller_that_sees_all_balances_and_a_policy_plays_what_it_says():
    assert float(control.played(None, "all is seen", 32, 0)[2].sum(1).double().mean()) > 190
    torch.manual_seed(0)
    for row in ("gru", "last 4 frames"):
        policy = control.Policy(row)
        observed, _, alive = control.played(policy, row, 4, 1)
        assert float(alive.sum(1).double().mean()) < 100
        with torch.no_grad():  # read at once and step by step
            changed = observed.clone()
            changed[:, 5:] += 1
            torch.testing.assert_close(policy(observed)[:, :5], policy(changed)[:, :5])


def test_a_network_says_the_parity_of_what_it_is_asked():
    torch.manual_seed(0)
    bits = curriculum.bits_for(5, 8, RNG().manual_seed(0))
    assert 7 <= bits.shape[1] <= 12
    model = curriculum.Heads("leaky-rnn")
    assert model(bits).shape == (8, curriculum.MOST)
    assert 0.3 < curriculum.right(model, 5, 0) < 0.7


def test_a_room_of_the_second_round_is_the_one_a_lag_ago():
    seen, ahead = worlds.walks(6, 8, RNG().manual_seed(0))
    frames = seen[..., :-1].unflatten(2, (worlds.TILES, worlds.COLOURS)).argmax(-1)
    assert (ahead[:, :7] == -100).all()  # nobody can foresee the first round
    assert torch.equal(ahead[:, 7:], frames[:, :8])
    assert torch.equal(frames[:, 1:][:, 7:], ahead[:, 7:14])


def test_events_are_between_nodes_that_are_near_and_say_where(monkeypatch):
    monkeypatch.setattr(batches, "EVENTS", 40)
    data = batches.graph(0)
    assert (data.nodes[:, 0] != data.nodes[:, 1]).all()
    assert (data.said[:, 0] - data.said[:, 1]).abs().mean() < 0.1  # two places drawn alike are a third apart
    again = batches.graph(0)
    assert torch.equal(data.nodes, again.nodes)
