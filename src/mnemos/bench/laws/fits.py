"""Curves through what was measured, with their intervals: least squares on the points of all seeds, and a bootstrap.

A kind is y = a + b g(x), where g may have numbers of its own that are searched on a grid which is refined; power laws and
exponentials without a floor are lines of logarithms, and their R² is that of the logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from mnemos.errors import InvalidInput

Kind = Literal[
    "line", "logarithm", "power law", "exponential", "power law to a floor", "exponential to a floor", "sigmoid",
    "sigmoid in log x",
]  # fmt: skip
Array = Any  # of numbers
DRAWN, TIMES, STEPS, ZOOMS = 40, 200, 25, 4  # points of a line; bootstrap samples; steps of a grid; times it is refined


@dataclass(frozen=True, slots=True)
class Fit:
    """A curve through the points of a panel."""

    panel: str
    curve: str
    kind: Kind
    says: str  # the formula
    numbers: dict[str, tuple[float, float, float]]  # of the formula: value, and the ends of its interval of 95 %
    r2: float  # share of the variance that it explains
    x: list[float]  # where it is drawn
    y: list[float]
    low: list[float]  # the interval of 95 % there
    high: list[float]

    def value(self, name: str) -> float:
        """Return a number of the formula."""
        return self.numbers[name][0]

    def inside(self, name: str, low: float, high: float) -> bool:
        """Return whether the whole interval of a number is between two bounds."""
        return low <= self.numbers[name][1] and self.numbers[name][2] <= high

    def said(self, name: str) -> str:
        """Return a number with its interval, as a sentence has it."""
        value, low, high = self.numbers[name]
        return f"{value:.3g} (95 %: {low:.3g} to {high:.3g})"

    def stored(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)


class _Kind(NamedTuple):
    says: str
    names: tuple[str, ...]  # a, b, and those of g
    g: Callable[..., Array]  # of x and its own numbers
    grid: Callable[[Array], list[Array]] = lambda _: []  # where its own numbers are looked for, of x
    log_x: bool = False
    log_y: bool = False


def _scales(x: Array) -> list[Array]:
    span = np.ptp(x) or 1.0
    return [np.geomspace(span / 100, 10 * span, STEPS)]


def _sigmoids(x: Array) -> list[Array]:
    span = np.ptp(x) or 1.0
    return [np.linspace(x.min() - span / 4, x.max() + span / 4, STEPS), np.geomspace(span / 200, span, STEPS)]


def _sigmoid(x: Array, middle: Array, width: Array) -> Array:
    return 1 / (1 + np.exp(np.clip(-(x - middle) / width, -500, 500)))


_SIGMOID = ("bottom", "height", "middle", "width")
_KINDS: dict[Kind, _Kind] = {
    "line": _Kind("y = start + slope x", ("start", "slope"), lambda x: x),
    "logarithm": _Kind("y = start + slope ln x", ("start", "slope"), lambda x: x, log_x=True),
    "power law": _Kind("y = scale x^exponent", ("scale", "exponent"), lambda x: x, log_x=True, log_y=True),
    "exponential": _Kind("y = scale exp(rate x)", ("scale", "rate"), lambda x: x, log_y=True),
    "power law to a floor": _Kind(
        "y = floor + scale x^exponent", ("floor", "scale", "exponent"), lambda x, of: np.exp(x * of),
        lambda _: [np.linspace(-4, -0.02, STEPS)], log_x=True,
    ),
    "exponential to a floor": _Kind(
        "y = floor + scale exp(-x / time)", ("floor", "scale", "time"), lambda x, time: np.exp(-x / time), _scales
    ),
    "sigmoid": _Kind("y = bottom + height / (1 + exp(-(x - middle) / width))", _SIGMOID, _sigmoid, _sigmoids),
    "sigmoid in log x": _Kind(
        "y = bottom + height / (1 + (middle / x)^(1 / width))", _SIGMOID, _sigmoid, _sigmoids, log_x=True
    ),
}  # fmt: skip


def fit(kind: Kind, points: Mapping[Any, Sequence[float]], panel: str = "", curve: str = "") -> Fit:
    """Return the curve of a kind through points: values of all seeds by x, as a panel has them.

    The interval comes from 200 samples of the points, drawn with replacement. Raises InvalidInput for fewer points than the
    curve has numbers, and for a number of 0 or less where its logarithm is taken.
    """
    form = _KINDS[kind]
    x, y = (np.array(of, float) for of in zip(*((float(x), v) for x, vs in points.items() for v in vs), strict=True))
    least = len(form.names)
    if len(set(x.tolist())) < least:
        raise InvalidInput(f"a {kind} needs {least} different x: there are {len(set(x.tolist()))}.")
    for is_log, of, name in ((form.log_x, x, "x"), (form.log_y, y, "y")):
        if is_log and of.min() <= 0:
            raise InvalidInput(f"a {kind} takes the logarithm of {name}, which is {of.min():g}: leave that point out.")
    best = _least(form, x, y)
    samples = np.array([_least(form, x[at], y[at]) for at in _drawn(x, least)])
    ends = np.quantile(samples, (0.025, 0.975), axis=0)
    numbers = dict(zip(form.names, zip(*(_shown(form, of) for of in (best, *ends)), strict=True), strict=True))
    places = np.geomspace(x.min(), x.max(), DRAWN) if form.log_x else np.linspace(x.min(), x.max(), DRAWN)
    low, high = np.quantile([_value(form, of, places) for of in samples], (0.025, 0.975), axis=0)
    curves = [[_short(v) for v in of] for of in (places, _value(form, best, places), low, high)]
    return Fit(panel, curve, kind, form.says, numbers, _r2(form, best, x, y), *curves)


def _drawn(x: Array, least: int) -> Iterator[Array]:
    """Yield samples of the points with at least so many different x."""
    rng, found = np.random.default_rng(0), 0
    while found < TIMES:
        at = rng.integers(len(x), size=len(x))
        if len(set(x[at].tolist())) >= least:
            found += 1
            yield at


def _r2(form: _Kind, numbers: Array, x: Array, y: Array) -> float:
    found = _value(form, numbers, x)
    found, y = (np.log(found), np.log(y)) if form.log_y else (found, y)
    return _short(1 - float(((y - found) ** 2).sum()) / (float(((y - y.mean()) ** 2).sum()) or 1.0))


def _least(form: _Kind, x: Array, y: Array) -> Array:
    """Return a, b and the numbers of g of least squares."""
    x, y = np.log(x) if form.log_x else x, np.log(y) if form.log_y else y
    axes, own = form.grid(x), np.zeros((0, 1))
    for _ in range(ZOOMS if axes else 1):
        own = np.array([of.ravel() for of in np.meshgrid(*axes)]) if axes else own
        g = np.broadcast_to(form.g(x, *own[..., None]), (own.shape[1], len(x))) if axes else x[None]
        centred = g - g.mean(1, keepdims=True)
        b = centred @ (y - y.mean()) / np.maximum((centred**2).sum(1), 1e-300)
        a = y.mean() - b * g.mean(1)
        best = int(((y - a[:, None] - b[:, None] * g) ** 2).sum(1).argmin())
        axes = [_around(axis, of[best]) for axis, of in zip(axes, own, strict=True)]
    return np.array([a[best], b[best], *own[:, best]])


def _around(axis: Array, value: float) -> Array:
    at = int(np.abs(axis - value).argmin())
    return np.linspace(axis[max(at - 1, 0)], axis[min(at + 1, len(axis) - 1)], STEPS)


def _value(form: _Kind, numbers: Array, x: Array) -> Array:
    a, b, *own = numbers
    y = a + b * form.g(np.log(x) if form.log_x else x, *own)
    return np.exp(y) if form.log_y else y


def _shown(form: _Kind, numbers: Array) -> list[float]:
    """Return a, b, ... as the numbers of the formula: out of logarithms where the formula is."""
    inside = {"scale": form.log_y, "middle": form.log_x}
    return [_short(np.exp(v) if inside.get(name) else v) for name, v in zip(form.names, numbers, strict=True)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
