"""Memory and tasks of reservoirs with 100 units, nothing trained but a ridge readout.

- capacity: the sum of r^2 between what was read k steps ago and its best readout, k up to 150; reach is the last lag with
  r^2 above one half.
- NARMA-10 and the sine of what was read 10 steps ago: error relative to the standard deviation.

For each task a reservoir takes the best of its options by data of its own; what is reported is other data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product as each
from typing import Any

from torch import Tensor

from mnemos.bench.neural.recurrence import signals
from mnemos.neural.recurrent.deep_residual_esn import DeepResidualESN
from mnemos.neural.recurrent.echo_state import EchoStateNetwork
from mnemos.neural.recurrent.reservoir import Reservoir
from mnemos.neural.recurrent.residual_reservoir import ResidualReservoirMemory

UNITS, STEPS, LAGS = 100, 3000, 150
MIXES = ((0.0, 1.0), (0.5, 0.5), (0.95, 0.05))  # alpha and beta; of leaky units 1 - leak and leak
SCALES = (0.1, 1.0)  # of the input


class Ring(ResidualReservoirMemory):
    """The linear ring alone."""

    def seen(self, state: Mapping[str, Tensor]) -> Tensor:
        """Return its units."""
        return state["m"]


def _leaky(layers: int) -> Iterator[dict[str, Any]]:
    for (_, leak), scale in each(MIXES, SCALES):
        yield {"size": UNITS // layers, "layers": layers, "leak": leak, "scale": scale}


def _residual(skip: str, layers: int) -> Iterator[dict[str, Any]]:
    for (alpha, beta), scale in each(MIXES, SCALES):
        yield {
            "size": UNITS // layers, "layers": layers, "skip": skip, "alpha": alpha, "beta": beta, "scale": scale,
        }  # fmt: skip


def _memory(size: int, memory: int, read_memory: bool = True) -> Iterator[dict[str, Any]]:
    for (alpha, beta), scale, decay in each(MIXES[1:3], SCALES, (0.95, 0.99)):
        yield {
            "size": size, "memory": memory, "alpha": alpha, "beta": beta, "scale": scale, "decay": decay,
            "read_memory": read_memory,
        }  # fmt: skip


OPTIONS: dict[str, tuple[Callable[..., Reservoir], Callable[[], Iterator[dict[str, Any]]]]] = {
    "echo state network": (EchoStateNetwork, lambda: _leaky(1)),
    "deep echo state network": (EchoStateNetwork, lambda: _leaky(2)),
    "deep residual, cyclic": (DeepResidualESN, lambda: _residual("cyclic", 2)),
    "deep residual, random": (DeepResidualESN, lambda: _residual("random", 2)),
    "linear ring alone": (Ring, lambda: ({**o, "read_memory": True} for o in _memory(1, UNITS - 1))),
    "residual reservoir memory": (ResidualReservoirMemory, lambda: _memory(UNITS // 2, UNITS // 2)),
}
ROWS = tuple(OPTIONS)


def one(row: str, seed: int) -> dict[str, float]:
    """Return the figures of a kind of reservoir."""
    kind, options = OPTIONS[row]
    x, drive = signals.noise(STEPS, seed), signals.noise(STEPS, 100 + seed, 0.0, 0.5)
    narma, wanted = signals.narma10(drive), signals.delayed_sine(x)
    best: dict[str, tuple[float, dict[str, float]]] = {}

    def offer(task: str, score: float, found: dict[str, float]) -> None:
        if task not in best or score > best[task][0]:
            best[task] = (score, found)

    for chosen in options():
        seen, driven = signals.read(kind(1, seed=seed, **chosen), x, drive)
        by, told = signals.capacity(seen, x, LAGS)
        offer("capacity", float(by.sum()), {"capacity": float(told.sum()), "reach": float(_reach(told))})
        for task, (by_error, error) in {
            "delayed sine": signals.error(seen, wanted), "NARMA-10": signals.error(driven, narma),
        }.items():  # fmt: skip
            offer(task, -by_error, {task: error})
    return {name: value for _, found in best.values() for name, value in found.items()}


def _reach(curve: Tensor) -> int:
    above = (curve > 0.5).nonzero()
    return int(above[-1]) + 1 if len(above) else 0
