"""Figures of each seed as lists, and how tables write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any

from mnemos.bench.progress import Progress


def each_seed(seeds: Sequence[int], measure: Callable[[int], dict[str, Any]], progress: Progress) -> dict[str, Any]:
    """Measure each seed on one thread; return the figures with a list over seeds in the place of each."""
    from mnemos.bench.kv.threads import one_thread

    progress.expect(len(seeds))
    found: dict[str, Any] = {}
    with one_thread():
        for seed in seeds:
            append(found, measure(seed))
            progress(1)
    return found


def append(found: dict[str, Any], one: dict[str, Any]) -> None:
    """Add the figures of a seed to the lists of all seeds, in place."""
    for key, value in one.items():
        if isinstance(value, dict):
            append(found.setdefault(key, {}), value)
        else:
            found.setdefault(key, []).append(value)


def spread(values: list[float], digits: int = 2, share: bool = False) -> str:
    """Return a mean with the standard deviation over seeds."""
    by, unit = (100, " %") if share else (1, "")
    error = f" ± {by * stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{by * fmean(values):.{digits}f}{error}{unit}"
