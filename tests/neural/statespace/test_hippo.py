"""Measures remember what they say, at any rate of sampling."""

import math

import pytest
import torch
from scipy.special import eval_legendre

from mnemos.errors import InvalidInput
from mnemos.neural.statespace import hippo


def smooth(count, waves=6, seed=0):
    """A signal of a few slow sines over `count` steps."""
    rng = torch.Generator().manual_seed(seed)
    amplitude, phase = torch.randn(waves, generator=rng).double(), torch.rand(waves, generator=rng).double()
    t = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return (
        amplitude[:, None] * torch.sin(2 * math.pi * (torch.arange(1, waves + 1)[:, None] * t + phase[:, None]))
    ).sum(0)


def remembered(measure, signal, step):
    A, B = hippo.discretise(measure.A, measure.B, step)
    state = torch.zeros_like(B)
    for value in signal:
        state = A @ state + B * value
    return state


@pytest.mark.parametrize(("name", "bound"), [("legt", 0.02), ("fout", 0.05)])
def test_a_window_is_reconstructed_from_its_state(name, bound):
    signal, window = smooth(1500), 500
    measure = hippo.MEASURES[name](49)
    state = remembered(measure, signal, 1 / window)
    ages = torch.linspace(0.1, 0.9, 200, dtype=torch.float64)
    places = (len(signal) - 0.5 - ages * window).long()
    error = measure.reconstruct(state, ages) - signal[places]
    assert error.norm() / signal[places].norm() < bound


def test_a_fading_past_is_reconstructed_where_it_counts():
    signal, scale = smooth(3000), 100
    measure = hippo.lagt(64)
    ages = torch.linspace(0.2, 4.0, 100, dtype=torch.float64)
    places = (len(signal) - 0.5 - ages * scale).long()
    error = measure.reconstruct(remembered(measure, signal, 1 / scale), ages) - signal[places]
    assert error.norm() / signal[places].norm() < 0.1


def test_the_online_coefficients_are_the_integrals():
    signal, size = smooth(300), 12
    memory = hippo.OnlineLegS(size)
    found = memory.update(signal)
    s = (torch.arange(len(signal)) + 0.5) / len(signal)
    for n in range(size):
        wanted = math.sqrt(2 * n + 1) * (signal * torch.from_numpy(eval_legendre(n, 2 * s.double().numpy() - 1))).mean()
        assert found[n] == pytest.approx(float(wanted), abs=0.02)


def test_online_history_is_reconstructed_and_does_not_depend_on_the_rate():
    signal = smooth(1200)
    fine, coarse = hippo.OnlineLegS(32), hippo.OnlineLegS(32)
    fine.update(signal)
    coarse.update(signal.view(-1, 3).mean(1))
    again = fine.reconstruct(len(signal))
    assert (again - signal).norm() / signal.norm() < 0.03
    assert (fine.coefficients - coarse.coefficients).norm() / fine.coefficients.norm() < 0.02


def test_more_coefficients_reconstruct_better():
    signal = smooth(600, waves=12)
    errors = []
    for size in (8, 16, 32):
        memory = hippo.OnlineLegS(size)
        memory.update(signal)
        errors.append(float((memory.reconstruct(len(signal)) - signal).norm()))
    assert errors[0] > errors[1] > errors[2]


def test_every_measure_is_stable():
    for make in hippo.MEASURES.values():
        assert torch.linalg.eigvals(make(17).A).real.max() < 0


def test_diagonal_legs_has_the_eigenvalues_of_the_normal_part():
    values = hippo.diagonal("legs", 8)
    whole = hippo.legs(16)
    normal = whole.A + torch.outer(whole.B, whole.B) / 2
    wanted = torch.linalg.eigvals(normal)
    wanted = wanted[wanted.imag > 0]
    torch.testing.assert_close(values.imag.sort().values, wanted.imag.sort().values)
    torch.testing.assert_close(values.real, wanted.real)


def test_steps_cover_the_timescales():
    steps = hippo.timescales(4000, 10, 1000, torch.Generator().manual_seed(0))
    assert steps.min() >= 1 / 1000
    assert steps.max() <= 1 / 10
    assert float((steps < 1 / 100).double().mean()) == pytest.approx(0.5, abs=0.03)
    with pytest.raises(InvalidInput, match="shortest"):
        hippo.timescales(3, 10, 1)


def test_a_hold_of_the_input_is_the_exact_solution():
    measure = hippo.legs(6)
    A, B = hippo.discretise(measure.A, measure.B, 0.3, None)
    torch.testing.assert_close(A, torch.matrix_exp(0.3 * measure.A))
    torch.testing.assert_close(B, torch.linalg.solve(measure.A, (A - torch.eye(6).double()) @ measure.B))
    forward = hippo.discretise(measure.A, measure.B, 0.3, 0.0)
    torch.testing.assert_close(forward[0], torch.eye(6).double() + 0.3 * measure.A)


def test_unknown_names_are_refused():
    with pytest.raises(InvalidInput, match="choose legs"):
        hippo.diagonal("legz", 4)
    with pytest.raises(InvalidInput, match="odd"):
        hippo.fout(8)
