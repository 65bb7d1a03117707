"""The forgetting meter: how far a model has moved from what it said before, on text that it was not changed for.

It is the cross-entropy between what the original model expects and what it expects now, on held-out text ("Scaling Laws for
Forgetting When Fine-Tuning Large Language Models", arXiv 2401.05605). Unlike the loss of the text itself it cannot fall:
it starts at the original model's own entropy, and what it rises by is KL, 0 where nothing was forgotten.

In that paper forgetting is a line in the loss of fine-tuning, and a shifted power law in the number of trained weights and of
steps: `line` and `power_law` fit both to measurements, so that a write can be priced before it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.measure import Measure
from mnemos.parametric.probes import windows
from mnemos.parametric.tokens import Row, logits_of, pad_of, padded

BATCH = 8  # windows that are read at once


class ForgettingMeter:
    """What a model says of some texts, kept to compare later models with. Holds tokens x vocabulary in float16."""

    def __init__(self, model: Any, tokenizer: Any, texts: Sequence[str], length: int = 256) -> None:
        self._rows: list[Row] = windows(tokenizer, texts, length)
        if not self._rows:
            raise InvalidInput("there is no text to measure forgetting on.")
        self._pad = pad_of(tokenizer)
        self._before = [expected.half() for expected in self._expected(model)]

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return sum(t.numel() * t.element_size() for t in self._before)

    def cross_entropy(self, model: Any) -> Measure:
        """Return the cross-entropy of what a model expects to what the original expected, in nats a token; n counts tokens."""
        return self._mean(model, False)

    def forgotten(self, model: Any) -> Measure:
        """Return the cross-entropy less the original model's entropy: KL, in nats a token; 0 for the original."""
        return self._mean(model, True)

    def _mean(self, model: Any, less: bool) -> Measure:
        total, n = 0.0, 0
        for before, now in zip(self._before, self._expected(model), strict=True):
            then = before.to(now).log_softmax(-1)
            total += float((then.exp() * ((then if less else 0.0) - now)).sum(dtype=torch.double))
            n += len(now)
        return Measure(total / n, n)

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
    def _expected(self, model: Any) -> list[Tensor]:
        """Return the log-probabilities of each place (tokens, V), batch by batch."""
        found = []
        for at in range(0, len(self._rows), BATCH):
            batch = padded(self._rows[at : at + BATCH], self._pad)
            found.append(logits_of(model, batch).cpu()[batch.counted].log_softmax(-1))
        return found


@dataclass(frozen=True, slots=True)
class Line:
    """y = slope x + start."""

    slope: float
    start: float
    r2: float  # share of the variance that it explains

    def __call__(self, x: float) -> float:
        """Return y."""
        return self.slope * x + self.start


def line(xs: Sequence[float], ys: Sequence[float]) -> Line:
    """Return the line of least squares. Raises InvalidInput for fewer than two different x."""
    if len(xs) != len(ys) or len(set(xs)) < 2:
        raise InvalidInput(
            f"a line needs two different x and as many y: there are {len(set(xs))} of {len(xs)}, {len(ys)} y."
        )
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)
    made = Line(slope, my - slope * mx, 0.0)
    spread = sum((y - my) ** 2 for y in ys)
    left = sum((y - made(x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return Line(made.slope, made.start, 1 - left / spread if spread else 1.0)


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = scale * parameters ** a * steps ** b + shift."""

    scale: float
    a: float
    b: float
    shift: float

    def __call__(self, parameters: float, steps: float) -> float:
        """Return y."""
        return float(self.scale * parameters**self.a * steps**self.b + self.shift)


def power_law(parameters: Sequence[float], steps: Sequence[float], ys: Sequence[float], shifts: int = 60) -> PowerLaw:
    """Fit a shifted power law: for each of `shifts` shifts below the least y by least squares of logarithms.

    The one with the least relative error is returned. Raises InvalidInput for fewer than four measurements, and where a
    number is not positive.
    """
    if not len(parameters) == len(steps) == len(ys) >= 4:
        raise InvalidInput(f"a power law of two numbers needs four measurements: there are {len(ys)}.")
    if min(*parameters, *steps, *ys) <= 0:
        raise InvalidInput(f"a power law is of positive numbers: the least is {min(*parameters, *steps, *ys)}.")
    columns = torch.tensor([[1.0, log(p), log(s)] for p, s in zip(parameters, steps, strict=True)], dtype=torch.double)
    best: tuple[float, PowerLaw] | None = None
    least = min(ys)
    for i in range(shifts):
        shift = least * (1 - 2.0 ** (-i / 4)) if i % 2 else -least * (2.0 ** (i / 8) - 1)
        wanted = torch.tensor([[log(y - shift)] for y in ys], dtype=torch.double)
        start, a, b = torch.linalg.lstsq(columns, wanted).solution[:, 0].tolist()
        made = PowerLaw(exp(start), a, b, shift)
        error = sum((made(p, s) / y - 1) ** 2 for p, s, y in zip(parameters, steps, ys, strict=True))
        if best is None or error < best[0]:
            best = error, made
    assert best is not None  # shifts is at least 1
    return best[1]
