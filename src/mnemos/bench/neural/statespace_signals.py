"""Signals: reconstruction from a state, delay, and a memory that decays slowly."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.neural.statespace import hippo
from mnemos.neural.statespace.lssl import LSSL
from mnemos.neural.statespace.s4d import S4D
from mnemos.neural.statespace.stable import REPARAMETERISATIONS

if TYPE_CHECKING:
    from mnemos.bench.neural.statespace import Options

LENGTH, SIZE, WAVES = 10_000, 256, 50  # steps of a signal, numbers that remember it, and its highest frequency
LAG, DELAYED = 100, 256  # tokens back, and tokens of a sequence


def noise(count: int, waves: int, seed: int) -> Tensor:
    """Return white noise without frequencies above `waves` periods over its length, of power 1."""
    rng = torch.Generator().manual_seed(seed)
    spectrum = torch.complex(*(torch.randn(count // 2 + 1, generator=rng, dtype=torch.float64) for _ in range(2)))
    spectrum[waves + 1 :] = 0
    signal = torch.fft.irfft(spectrum, n=count)
    return signal / signal.square().mean().sqrt()


def reconstruction(options: Options) -> dict[str, Any]:
    """Return the relative error of the whole signal, and how far the coefficients move at a third of the rate."""
    made: dict[str, Callable[[Tensor], Tensor]] = {
        "legs, online": online,
        "legt, window of the signal": lambda signal: windowed("legt", signal, LENGTH),
        "fout, window of the signal": lambda signal: windowed("fout", signal, LENGTH),
        "legt, window of the signal / 4": lambda signal: windowed("legt", signal, LENGTH // 4),
        "moving averages": averages,
    }
    found: dict[str, Any] = {}
    for name, how in made.items():

        def one(how: Callable[[Tensor], Tensor] = how, name: str = name) -> dict[str, Any]:
            rows = []
            for seed in range(options.seeds):
                signal = noise(LENGTH, WAVES, seed)
                row = {"error": float((how(signal) - signal).norm() / signal.norm())}
                if name == "legs, online":
                    row["moved by the rate"] = moved(signal)
                rows.append(row)
            return over_seeds(rows)

        found[name] = kept(options.cache, f"reconstruction {name}", one)
    return found


def online(signal: Tensor) -> Tensor:
    """Return the history that LegS reconstructs."""
    memory = hippo.OnlineLegS(SIZE)
    memory.update(signal)
    return memory.reconstruct(len(signal))


def moved(signal: Tensor) -> float:
    """Return how far LegS's coefficients move, relatively, when the signal is read at a quarter of the rate."""
    fine, coarse = hippo.OnlineLegS(64), hippo.OnlineLegS(64)
    fine.update(signal)
    coarse.update(signal.view(-1, 4).mean(1))
    return float((fine.coefficients - coarse.coefficients).norm() / fine.coefficients.norm())


def windowed(measure: str, signal: Tensor, window: int) -> Tensor:
    """Return the history that a window's state reconstructs; nothing where it does not reach."""
    made = hippo.MEASURES[measure](SIZE - 1)
    A, B = hippo.discretise(made.A, made.B, 1 / window)
    state = torch.zeros_like(B)
    for value in signal:
        state = A @ state + B * value
    ages = (torch.arange(window, 0, -1, dtype=torch.float64) - 0.5) / window
    back = torch.zeros_like(signal)
    back[len(signal) - window :] = made.reconstruct(state, ages)
    return back


def averages(signal: Tensor) -> Tensor:
    """Return the best history, by least squares, from exponential moving averages at rates from 1 to the whole signal."""
    rates = torch.logspace(0, math.log10(len(signal)), SIZE, dtype=torch.float64)
    ages = torch.arange(len(signal), 0, -1, dtype=torch.float64)
    kernels = torch.exp(-ages[:, None] / rates) / rates  # (T, N)
    state = kernels.T @ signal
    return kernels @ torch.linalg.lstsq(kernels.T @ kernels + 1e-9 * torch.eye(SIZE).double(), state).solution


def delay(options: Options) -> dict[str, Any]:
    """Return the relative error of what came LAG tokens ago, read from the state by least squares; 1 is that of nothing.

    Four channels of 32 complex or 64 real states: the best that training can reach where it leaves the system alone.
    """
    near, far = (LAG / 2, LAG * 4), (LAG * 50, LAG * 400)  # timescales of the channels, in tokens
    made: dict[str, Callable[[], S4D | LSSL]] = {
        "s4d, legs": lambda: S4D(4, 32, "legs", *near),
        "s4d, lin": lambda: S4D(4, 32, "lin", *near),
        "s4d, random": lambda: S4D(4, 32, "random", *near),
        "s4d, lin, timescale 100 times off": lambda: S4D(4, 32, "lin", *far),
        "lssl, legt": lambda: LSSL(4, 64, "legt", *near),
        "lssl, legs": lambda: LSSL(4, 64, "legs", *near),
        "lssl, random": lambda: LSSL(4, 64, "random", *near),
        "lssl, legt, timescale 100 times off": lambda: LSSL(4, 64, "legt", *far),
    }
    return {
        name: kept(options.cache, f"delay {name}", partial(delays, new, options.seeds)) for name, new in made.items()
    }


def delays(new: Callable[[], S4D | LSSL], seeds: int) -> dict[str, Any]:
    """Return the mean error of layers."""
    return over_seeds([delayed(new, seed) for seed in range(seeds)])


def delayed(new: Callable[[], S4D | LSSL], seed: int, fitted_on: int = 3000, tested: int = 1000) -> dict[str, float]:
    """Return the error of one layer on sequences of noise that nothing was fitted on."""
    torch.manual_seed(seed)
    states = responses(new())  # (states, T)
    x = torch.stack([noise(DELAYED, DELAYED // 8, 10_000 * seed + i) for i in range(fitted_on + tested)])
    features, wanted = x.flip(1) @ states.T, x[:, DELAYED - 1 - LAG]
    features = features / features.square().mean().sqrt()
    seen, ahead = features[:fitted_on], features[fitted_on:]
    ridge = 1e-6 * fitted_on * torch.eye(len(states), dtype=torch.float64)
    read = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted[:fitted_on])
    missed = ahead @ read - wanted[fitted_on:]
    return {"error": float(missed.norm() / wanted[fitted_on:].norm())}


def responses(layer: S4D | LSSL) -> Tensor:
    """Return what each state of a layer is, each number of tokens after an impulse: (states, T)."""
    impulse = torch.zeros(1, DELAYED, layer.width, dtype=torch.float64)
    impulse[:, 0] = 1
    layer, state, rows = layer.double(), None, []
    with torch.no_grad():
        for token in impulse.split(1, 1):
            state = layer.naive(token, state or layer.init_state(1))[1]
            rows.append(state["system"].flatten())
    return torch.stack(rows, 1)


def polynomial(options: Options) -> dict[str, Any]:
    """Return for each form and size the error of the kernel (t + 1)^-1.1, at perturbed weights, and the steepest gradient."""
    found = {}
    for form in ("direct", "softplus", "exp", "best"):
        for size in (4, 16, 64):
            name = f"{form}, {size} states"
            found[name] = kept(options.cache, f"polynomial {name}", partial(fits, form, size, options.seeds))
    return found


def fits(form: str, size: int, seeds: int) -> dict[str, Any]:
    """Return the means of fits."""
    return over_seeds([fitted(form, size, seed) for seed in range(seeds)])


def fitted(name: str, size: int, seed: int, steps: int = 600, length: int = 1000) -> dict[str, float]:
    """Return the relative error of sum c e^(-r t) after training r and c, from rates between 0.01 and 1."""
    rng, form = torch.Generator().manual_seed(seed), REPARAMETERISATIONS[name]
    w = form.inverse(10 ** (-2 * torch.rand(size, generator=rng, dtype=torch.float64))).requires_grad_()
    c = (torch.randn(size, generator=rng, dtype=torch.float64) / size).requires_grad_()
    t = torch.arange(length, dtype=torch.float64)
    wanted = (t + 1) ** -1.1
    optimiser, steepest = torch.optim.Adam([w, c], 0.01), 0.0

    def error(w: Tensor) -> Tensor:
        made = torch.exp(-form.rate(w)[:, None] * t).T @ c
        return (made - wanted).abs().sum() / wanted.sum()

    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.01 * (1 + math.cos(math.pi * step / steps)) / 2
        optimiser.zero_grad()
        loss = error(w)
        loss.backward()
        steepest = max(steepest, float(w.grad.norm()))
        optimiser.step()
    with torch.no_grad():
        shaken = w + 0.02 * torch.randn(size, generator=rng, dtype=torch.float64)
        return {
            "error": float(error(w)),
            "error with shaken weights": float(error(shaken)),
            "steepest gradient": steepest,
        }
