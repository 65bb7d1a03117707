"""What the last result files say of each method, in a sentence: a figure beside its baselines', and the command.

Each benchmark says it of its own result: see `figure` in `mnemos.bench.registry`.
"""

from __future__ import annotations

import json
from pathlib import Path

from mnemos.bench.registry import Benchmark, Result, all_benchmarks
from mnemos.registry import Entry


class Measurements:
    """The result files of a folder, with the benchmarks that wrote them."""

    def __init__(self, folder: Path) -> None:
        self.results: list[tuple[Benchmark, Result]] = [
            (each, json.loads(path.read_text(encoding="utf-8")))
            for each in all_benchmarks()
            if each.figure is not None and (path := each.path(folder)).exists()
        ]

    def sentences(self, entry: Entry) -> list[str]:
        """Return a sentence for each result that has the method."""
        found = []
        for each, result in self.results:
            assert each.figure is not None
            if (figure := each.figure(result, entry)) is not None:
                parts = [figure.text, *(f"{name} {value}" for name, value in figure.others.items())]
                found.append(f"{'; '.join(parts)} (`{result['command']}`)")
        return found

    def sentence(self, entry: Entry) -> str:
        """Return what was measured, or that nothing was, and why."""
        found = self.sentences(entry)
        return (
            f"Measured: {'. '.join(found)}" if found else f"Not measured: {entry.unmeasured or 'no result file has it'}"
        )
