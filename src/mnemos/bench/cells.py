"""Figures as results and the cells of tables write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev


def percent(share: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.{digits}f} %"


def p50_p95(latency: Mapping[str, float] | None) -> str:
    """Return the p50 and p95 of `latency_ms` in one cell."""
    return "–" if latency is None else f"{latency['p50_ms']:.1f} / {latency['p95_ms']:.1f}"


def mean_and_spread(values: Sequence[float]) -> list[float]:
    """Return the mean and the standard deviation of a sample; zeros of none."""
    if not values:
        return [0.0, 0.0]
    return [round(fmean(values), 4), round(stdev(values), 4) if len(values) > 1 else 0.0]
