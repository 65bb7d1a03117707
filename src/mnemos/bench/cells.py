"""Figures as the cells of tables write them."""

from __future__ import annotations

from collections.abc import Mapping


def percent(share: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.{digits}f} %"


def p50_p95(latency: Mapping[str, float] | None) -> str:
    """Return the p50 and p95 of `latency_ms` in one cell."""
    return "–" if latency is None else f"{latency['p50_ms']:.1f} / {latency['p95_ms']:.1f}"
