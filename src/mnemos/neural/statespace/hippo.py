"""Measures of the past and the systems that remember it: x' = A x + B u holds the coefficients of u's history in a basis.

    N coefficients   A (N, N)   B (N,)   u the signal, x the state

A measure says which part of the past counts, and how much:

- `legs`: all of it since the beginning, evenly, when A and B are divided by the time (HiPPO, arXiv 2008.07669); as a
  system that does not change, an exponentially warped past (arXiv 2206.12037). Legendre polynomials.
- `legt`: the last unit of time (HiPPO; the LMU's memory, arXiv 1911.09883). Legendre polynomials.
- `lagt`: all of it, exponentially fading (HiPPO). Laguerre functions.
- `fout`: the last unit of time (arXiv 2206.12037). Sines and cosines.

A window or timescale of w tokens is a step of 1 / w. Sources for the diagonal ones: arXiv 2206.11893 (S4D).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

Basis = Callable[[Tensor, int], Tensor]  # ages in units of the timescale (M,) and N -> values of the functions (M, N)


@dataclass(frozen=True, slots=True)
class Measure:
    """A system, and the functions whose coefficients its state holds."""

    A: Tensor
    B: Tensor
    basis: Basis

    def reconstruct(self, state: Tensor, ages: Tensor) -> Tensor:
        """Return the signal (..., M) that a state (..., N) remembers at ages (M,) in units of the timescale."""
        return state @ self.basis(ages.to(state.dtype), state.shape[-1]).to(state.dtype).T


def legs(size: int) -> Measure:
    """Return the scaled Legendre measure; its basis has the age as a share of the time since the beginning."""
    r = _roots(size)
    A = -(torch.outer(r, r).tril(-1) + torch.diag(torch.arange(1.0, size + 1, dtype=torch.float64)))
    return Measure(A, r, _legendre)


def legt(size: int) -> Measure:
    """Return the translated Legendre measure, of the last unit of time."""
    r, n = _roots(size), torch.arange(size)
    sign = torch.where(n[:, None] >= n, 1.0, (-1.0) ** (n[:, None] - n).double())
    return Measure(-torch.outer(r, r) * sign, r, _legendre)


def lagt(size: int) -> Measure:
    """Return the translated Laguerre measure, which fades."""
    ones = torch.ones(size, size, dtype=torch.float64)
    return Measure(
        torch.eye(size, dtype=torch.float64) / 2 - ones.tril(), torch.ones(size, dtype=torch.float64), _laguerre
    )


def fout(size: int) -> Measure:
    """Return the truncated Fourier measure, of the last unit of time: 1, cos 1, sin 1, cos 2, sin 2, ..."""
    if size % 2 == 0:
        raise InvalidInput(f"size is {size}: give an odd one, for a constant and pairs of a cosine and a sine.")
    now = _fourier(torch.zeros(1, dtype=torch.float64), size)[0]
    A = -2 * torch.outer(now, now)
    for n in range(1, size // 2 + 1):
        cos, sin = 2 * n - 1, 2 * n
        A[cos, sin], A[sin, cos] = -2 * math.pi * n, 2 * math.pi * n
    return Measure(A, 2 * now, _fourier)


MEASURES: dict[str, Callable[[int], Measure]] = {"legs": legs, "legt": legt, "lagt": lagt, "fout": fout}


def diagonal(name: str, pairs: int, generator: torch.Generator | None = None) -> Tensor:
    """Return eigenvalues (pairs,) of which each stands for a conjugate pair, by the name of an initialisation.

    "legs": those of the normal part of LegS; "inv" and "lin": their approximations, of which "lin" is FouT's; "real":
    -1, -2, ...; "random": uniform in the left half of a disc as large as LegS's, which is a baseline.
    """
    n = torch.arange(pairs, dtype=torch.float64)
    if name == "legs":
        measure = legs(2 * pairs)
        normal = measure.A + torch.outer(measure.B, measure.B) / 2 + torch.eye(2 * pairs, dtype=torch.float64) / 2
        values = torch.linalg.eigvalsh(normal * -1j)  # it is skew-symmetric
        return torch.complex(torch.full_like(n, -0.5), values[values > 0])
    if name == "inv":
        return torch.complex(torch.full_like(n, -0.5), 2 * pairs / math.pi * (2 * pairs / (2 * n + 1) - 1))
    if name == "lin":
        return torch.complex(torch.full_like(n, -0.5), math.pi * n)
    if name == "real":
        return torch.complex(-1 - n, torch.zeros_like(n))
    if name == "random":
        radius = 2 * pairs * torch.rand(pairs, generator=generator, dtype=torch.float64).sqrt()
        angle = math.pi * (torch.rand(pairs, generator=generator, dtype=torch.float64) / 2 + 0.5)
        return torch.polar(radius, angle)
    raise InvalidInput(f"there is no initialisation {name!r}: choose legs, inv, lin, real or random.")


def timescales(count: int, shortest: float, longest: float, generator: torch.Generator | None = None) -> Tensor:
    """Return steps (count,) for timescales between `shortest` and `longest` tokens, log-uniformly: 1 / a timescale."""
    if not 0 < shortest <= longest:
        raise InvalidInput(f"timescales from {shortest} to {longest} tokens: give 0 < shortest <= longest.")
    share = torch.rand(count, generator=generator, dtype=torch.float64)
    return (-math.log(shortest) * share - math.log(longest) * (1 - share)).exp()


def discretise(A: Tensor, B: Tensor, step: Tensor | float, alpha: float | None = 0.5) -> tuple[Tensor, Tensor]:
    """Return the system of one token, (..., N, N) and (..., N), for A, B and steps (...,).

    `alpha` chooses the generalised bilinear transform: 0 forward Euler, 1 backward Euler, 0.5 the bilinear one; None a hold
    of the input over the step (ZOH), which is exact for signals of steps.
    """
    steps = torch.as_tensor(step, dtype=A.dtype, device=A.device)[..., None, None]
    one = torch.eye(len(A), dtype=A.dtype, device=A.device)
    if alpha is None:
        joined = torch.zeros(len(A) + 1, len(A) + 1, dtype=A.dtype, device=A.device)
        joined[:-1, :-1], joined[:-1, -1] = A, B
        held = torch.matrix_exp(steps * joined)
        return held[..., :-1, :-1], held[..., :-1, -1]
    both = torch.cat([one + (1 - alpha) * steps * A, steps * B[:, None]], -1)
    solved = torch.linalg.solve(one - alpha * steps * A, both)
    return solved[..., :-1], solved[..., -1]


@register(
    "hippo-legs",
    papers=(
        Paper("HiPPO: Recurrent Memory with Optimal Polynomial Projections", "2008.07669", "HazyResearch/hippo-code"),
    ),
    task="reconstruction",
)
class OnlineLegS:
    """Compresses a signal as it comes into N coefficients of its whole history, whatever its length (arXiv 2008.07669).

    c_k = (I - A / 2k)^-1 ((I + A / 2(k-1)) c_{k-1} + B u_k / k), A and B of `legs`: the bilinear form in time that is
    divided by the time. No timescale has to be chosen, and a signal sampled at another rate gives the same coefficients.
    Costs O(N^2) a token.
    """

    def __init__(
        self,
        size: int,  # N, coefficients
    ) -> None:
        self.measure = legs(size)
        self.coefficients = torch.zeros(size, dtype=torch.float64)
        self.read = 0

    def update(self, signal: Tensor) -> Tensor:
        """Read the next values (T,) of the signal; return the coefficients (N,) after them."""
        A, B = self.measure.A, self.measure.B
        one, c = torch.eye(len(B), dtype=torch.float64), self.coefficients
        for value in signal.double():
            self.read += 1
            before = c + A @ c / (2 * (self.read - 1)) if self.read > 1 else c
            right = (before + B * value / self.read)[:, None]
            c = torch.linalg.solve_triangular(one - A / (2 * self.read), right, upper=False)[:, 0]
        self.coefficients = c
        return c

    def reconstruct(self, count: int) -> Tensor:
        """Return the whole history at `count` places, from the first value to the last."""
        ages = 1 - (torch.arange(count, dtype=torch.float64) + 0.5) / count
        return self.measure.reconstruct(self.coefficients, ages)


def _roots(size: int) -> Tensor:
    if size < 1:
        raise InvalidInput(f"size is {size}: give at least 1 coefficient.")
    return (2 * torch.arange(size, dtype=torch.float64) + 1).sqrt()


def _legendre(ages: Tensor, size: int) -> Tensor:
    z, values = 1 - 2 * ages, [torch.ones_like(ages), 1 - 2 * ages]
    for n in range(1, size - 1):
        values.append(((2 * n + 1) * z * values[n] - n * values[n - 1]) / (n + 1))
    return torch.stack(values[:size], -1) * _roots(size).to(ages.dtype)


def _laguerre(ages: Tensor, size: int) -> Tensor:
    values = [torch.ones_like(ages), 1 - ages]
    for n in range(1, size - 1):
        values.append(((2 * n + 1 - ages) * values[n] - n * values[n - 1]) / (n + 1))
    return torch.stack(values[:size], -1) * (-ages / 2).exp()[:, None]


def _fourier(ages: Tensor, size: int) -> Tensor:
    values = [torch.ones_like(ages)]
    for n in range(1, size // 2 + 1):
        values += [math.sqrt(2) * (2 * math.pi * n * ages).cos(), math.sqrt(2) * (2 * math.pi * n * ages).sin()]
    return torch.stack(values[:size], -1)
