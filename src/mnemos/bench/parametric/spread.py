"""Means and standard deviations over seeds, and cells that are kept, so that a long run can go on where it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

CHOSEN_ON = 99  # the seed on which rates are chosen: no figure is of it


def kept(folder: Path | None, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the cell of a name: read from a folder where it is there, else made and written there."""
    if folder is None:
        return make()
    path = folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.json"
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(made), encoding="utf-8")
    part.replace(path)
    return made


def over_seeds(rows: Sequence[Mapping[str, float]], constant: Sequence[str] = ()) -> dict[str, Any]:
    """Return each column's mean, and its standard deviation as `COLUMN_sd`; of `constant` ones the mean only."""
    found: dict[str, Any] = {}
    for column in rows[0]:
        values = [float(row[column]) for row in rows]
        found[column] = round(fmean(values), 5)
        if column not in constant and len(values) > 1:
            found[f"{column}_sd"] = round(stdev(values), 5)
    return found
