"""What an experiment reports: each claim of its law with what was seen, and the curves of its picture.

An experiment is a module with `PAPERS`, `measure(seed)`, which returns figures, and `report(figures)`, which reads the
figures of all seeds: a list over seeds in the place of each number, with keys that are texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any, Literal, Protocol

from mnemos.bench.laws.fits import Fit
from mnemos.bench.registry import Figure

Seen = Literal["yes", "partly", "no"]


class Experiment(Protocol):
    """The module of a law."""

    PAPERS: tuple[str, ...]  # arXiv numbers, or what else names a paper; read from the source, so written out

    def measure(self, seed: int) -> dict[str, Any]:
        """Return the figures of one seed."""

    def report(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `reported` returns for the figures of all seeds."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a law says."""

    says: str
    seen: Seen
    figure: str  # what was measured


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a picture: curves of the mean over seeds."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Mapping[Any, Sequence[float]]]  # the values of all seeds by x, by name
    log: bool = False  # of the x-axis
    log_y: bool = False
    ticks: Sequence[str] = ()  # what 0, 1, ... of the x-axis stand for


def reported(
    claims: Sequence[Claim],
    panels: Sequence[Panel],
    fits: Sequence[Fit] = (),
    means: str = "",
    methods: Mapping[str, Figure] | None = None,
) -> dict[str, Any]:
    """Return claims, panels and the fits through their curves as they are stored.

    `means` is a sentence: what the law means for a memory, with the default or the function that it feeds. `methods` says
    what was measured of registered methods, by "form/name".
    """
    drawn = [
        {
            "title": panel.title, "x": panel.x, "y": panel.y, "log": panel.log, "log_y": panel.log_y,
            "ticks": list(panel.ticks),
            "curves": {name: _curve(values) for name, values in panel.curves.items()},
        }
        for panel in panels
    ]  # fmt: skip
    return {
        "means": means,
        "claims": [asdict(claim) for claim in claims],
        "panels": drawn,
        "fits": [fit.stored() for fit in fits],
    } | ({"methods": {name: figure._asdict() for name, figure in methods.items()}} if methods else {})


def verdict(holds: bool, nearly: bool = False) -> Seen:
    """Return what is said of a claim that holds, or nearly does."""
    return "yes" if holds else "partly" if nearly else "no"


def mean(values: Sequence[float]) -> float:
    """Return the mean over seeds."""
    return fmean(values)


def said(values: Sequence[float], digits: int = 2) -> str:
    """Return a mean over seeds with its standard deviation."""
    error = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{error}"


def listed(rows: Mapping[Any, Sequence[float]], digits: int = 2) -> str:
    """Return means by what they belong to, in a row."""
    return ", ".join(f"{key}: {said(values, digits)}" for key, values in rows.items())


def _curve(values: Mapping[Any, Sequence[float]]) -> dict[str, list[float]]:
    return {
        "x": [float(x) for x in values],
        "mean": [round(fmean(of), 5) for of in values.values()],
        "sd": [round(stdev(of), 5) if len(of) > 1 else 0.0 for of in values.values()],
    }
