"""What an experiment reports: each claim of its law with what was seen, and the curves of its picture.

An experiment is a module with `measure(seed)`, which returns figures, and `report(figures)`, which reads the figures of
all seeds: a list over seeds in the place of each number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any, Literal, Protocol

Seen = Literal["yes", "partly", "no"]


class Experiment(Protocol):
    """The module of a law."""

    def measure(self, seed: int) -> dict[str, Any]:
        """Return the figures of one seed."""

    def report(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        """Return claims and panels for the figures of all seeds."""


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
    ticks: Sequence[str] = ()  # what 0, 1, ... of the x-axis stand for


def reported(claims: Sequence[Claim], panels: Sequence[Panel]) -> dict[str, Any]:
    """Return claims and panels as they are stored."""
    drawn = [
        {
            "title": panel.title, "x": panel.x, "y": panel.y, "log": panel.log, "ticks": list(panel.ticks),
            "curves": {name: _curve(values) for name, values in panel.curves.items()},
        }
        for panel in panels
    ]  # fmt: skip
    return {"claims": [asdict(claim) for claim in claims], "panels": drawn}


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
