"""Means and standard deviations over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any


def over_seeds(rows: Sequence[Mapping[str, float]], constant: Sequence[str] = ()) -> dict[str, Any]:
    """Return each column's mean, and its standard deviation as `COLUMN_sd`; of `constant` ones the mean only."""
    found: dict[str, Any] = {}
    for column in rows[0]:
        values = [float(row[column]) for row in rows]
        found[column] = round(fmean(values), 5)
        if column not in constant and len(values) > 1:
            found[f"{column}_sd"] = round(stdev(values), 5)
    return found
