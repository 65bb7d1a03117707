"""Means and spreads over seeds, and how tables write them."""

from __future__ import annotations

from statistics import fmean, pstdev

from mnemos.bench.registry import Result

MEASURES = ("recall", "elsewhere", "old", "in context", "context wins")


def cell(value: Result) -> str:
    """Return a mean with its spread over seeds, where there is one."""
    spread = f" ± {value['sd']:.2f}" if value["sd"] >= 0.005 else ""
    return f"{value['mean']:.3f}".rstrip("0").rstrip(".") + spread


def spread(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean and standard deviation over seeds of every measure of every method."""
    return {
        name: {
            measure: {
                "mean": round(fmean(run[name][measure] for run in runs), 5),
                "sd": round(pstdev([run[name][measure] for run in runs]), 5),
            }
            for measure in runs[0][name]
        }
        for name in runs[0]
    }
