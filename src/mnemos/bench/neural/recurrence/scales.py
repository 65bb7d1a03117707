"""Memory capacity against the scale of the input, and what it says of tasks: 100 units, radius 0.95, no leak.

r2 is the forgetting curve at some lags; NARMA-10 and the sine of what was read 10 steps ago are errors relative to the standard
deviation. The capacity of linear units is N in exact
arithmetic; a readout in float64 finds that part of it whose directions it can tell apart.
"""

from __future__ import annotations

from mnemos.bench.neural.recurrence import signals
from mnemos.neural.recurrent.echo_state import EchoStateNetwork

UNITS, STEPS, LAGS = 100, 4000, 150
AT = (1, 10, 20, 40, 80)
SCALES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
ROWS = (
    *(f"tanh, input x {scale:g}" for scale in SCALES),
    *(f"linear, input x {scale:g}" for scale in (0.001, 1.0, 100.0)),
)


def one(row: str, seed: int) -> dict[str, float]:
    """Return the figures of units of a kind at a scale."""
    kind, _, scale = row.partition(", input x ")
    x, drive = signals.noise(STEPS, seed), signals.noise(STEPS, 100 + seed, 0.0, 0.5)
    layer = EchoStateNetwork(1, UNITS, radius=0.95, scale=float(scale), linear=kind == "linear", seed=seed)
    seen, driven = signals.read(layer, x, drive)
    _, curve = signals.capacity(seen, x, LAGS)
    narma = signals.error(driven, signals.narma10(drive))[1]
    sine = signals.error(seen, signals.delayed_sine(x))[1]
    return {
        "capacity": float(curve.sum()), **{f"r2 at {lag}": float(curve[lag - 1]) for lag in AT}, "NARMA-10": narma,
        "delayed sine": sine,
    }  # fmt: skip
