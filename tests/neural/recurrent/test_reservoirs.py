"""Reservoirs and their readout against closed forms."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.recurrent.deep_residual_esn import DeepResidualESN
from mnemos.neural.recurrent.echo_state import EchoStateNetwork
from mnemos.neural.recurrent.homeostatic import HomeostaticReservoir
from mnemos.neural.recurrent.probes import autocorrelation_time, forgetting_curve, timescale
from mnemos.neural.recurrent.residual_reservoir import ResidualReservoirMemory
from mnemos.neural.recurrent.ridge import ridge

NOISE = torch.rand(1, 3000, 1, generator=torch.Generator().manual_seed(5)) * 1.6 - 0.8


def test_ridge_is_the_solution_of_the_normal_equations():
    torch.manual_seed(0)
    x, y = torch.randn(40, 6, dtype=torch.float64), torch.randn(40, 2, dtype=torch.float64)
    weights, bias = ridge(x, y, 0.1)
    a = x - x.mean(0)
    penalty = 0.1 * torch.linalg.svdvals(a)[0] ** 2
    wanted = torch.linalg.solve(a.T @ a + penalty * torch.eye(6), a.T @ (y - y.mean(0))).T
    torch.testing.assert_close(weights, wanted)
    torch.testing.assert_close(bias, y.mean(0) - wanted @ x.mean(0))
    with pytest.raises(InvalidInput, match="give"):
        ridge(x, y[:3])


@pytest.mark.parametrize(
    "made",
    [
        lambda: DeepResidualESN(3, 6, 3, skip="cyclic", bias=0.5),
        lambda: EchoStateNetwork(3, 6, 2, leak=0.3),
        lambda: EchoStateNetwork(3, 6, linear=True),
        lambda: ResidualReservoirMemory(3, 6, 5, skip="random", bias=0.1, read_memory=False),
        lambda: HomeostaticReservoir(3, 10, spread=0.2),
    ],
)
def test_the_fast_form_of_a_reservoir_is_the_formula_and_trains_its_readout_only(made):
    layer = made().double()
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    fast, slow = layer(x)[0], layer.naive(x, layer.init_state(2))[0]
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-7)
    assert [name for name, _ in layer.named_parameters()] == ["out.weight", "out.bias"]


def test_a_fitted_readout_recalls_what_it_was_fitted_to():
    layer = EchoStateNetwork(2, 50, scale=0.1, seed=1)
    x = torch.randn(2, 400, 2, generator=torch.Generator().manual_seed(0))
    wanted = x.roll(3, 1)
    layer.fit(x, wanted, washout=20)
    fresh = torch.randn(1, 200, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        error = (layer(fresh)[0][:, 20:] - fresh.roll(3, 1)[:, 20:]).square().mean()
    assert error < 0.01  # of a variance of 1
    with pytest.raises(InvalidInput, match="washout"):
        layer.fit(x, wanted, washout=400)


def test_the_delay_line_of_a_residual_memory_loses_nothing():
    layer = ResidualReservoirMemory(1, 8, 40, decay=1.0)
    layer.line.zero_()
    layer.line[0] = 1
    held = layer.features(NOISE[:, :35])[1]["m"][0]
    torch.testing.assert_close(held[:35].flip(0), NOISE[0, :35, 0])


def test_the_memory_of_a_linear_reservoir_is_its_size_whatever_is_drawn_and_however_large_the_input():
    for seed in range(2):
        curves = []
        for scale in (0.01, 100.0):
            layer = EchoStateNetwork(1, 20, linear=True, scale=scale, seed=seed).double()
            features = layer.features(NOISE.double())[0][0]
            curves.append(forgetting_curve(features, NOISE[0, :, 0], 60, penalty=1e-24))
        assert 18.3 < float(curves[0].sum()) < 20.5
        torch.testing.assert_close(curves[0], curves[1], atol=1e-3, rtol=1e-2)


def test_the_memory_of_tanh_units_depends_on_the_scale_of_the_input():
    small, large = (
        float(forgetting_curve(EchoStateNetwork(1, 30, scale=s).features(NOISE)[0][0], NOISE[0, :, 0], 60).sum())
        for s in (0.01, 10.0)
    )
    assert small > 3 * large


def test_the_radius_says_whether_a_residual_network_forgets_its_beginning():
    for alpha, forgets in ((0.8, True), (1.05, False)):
        layer = DeepResidualESN(1, 12, 1, skip="random", alpha=alpha, beta=0.1)
        assert (layer.radius() < 1) == forgets
        one, other = (layer.features(NOISE[:, :150], {"h": torch.full((1, 1, 12), v)})[1]["h"] for v in (0.0, 0.5))
        assert (float((one - other).abs().max()) < 1e-3) == forgets


def test_units_reach_their_target_rates():
    x = torch.rand(1, 1500, 1, generator=torch.Generator().manual_seed(0))
    layer = HomeostaticReservoir(1, 40, strength=2.0, balance=0.3, target=0.4, spread=0.05)

    def off():
        return float((layer.features(x)[0][0, 200:].mean(0) - layer.target).abs().mean())

    before = off()
    layer.adapt(x, rate=0.05)
    assert before > 0.2
    assert off() < before / 4


def test_time_scales_are_those_of_the_matrix_and_of_the_activity():
    assert timescale(torch.diag(torch.tensor([0.5, -0.9]))) == pytest.approx(9.4912, abs=1e-3)
    assert timescale(torch.eye(2)) == float("inf")
    noise, slow = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)), [torch.zeros(2)]
    for x in noise:
        slow.append(torch.tensor([0.9, 0.0]) * slow[-1] + x)
    assert autocorrelation_time(torch.stack(slow)).tolist() == pytest.approx([10, 1], abs=2)
