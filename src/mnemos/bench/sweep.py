"""Sweeps: one benchmark with each of several values of an option, as tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnemos.bench.registry import get
from mnemos.bench.run import make_options, run_benchmark
from mnemos.tasks import INLINE, Workers

_SAFE = re.compile(r"[^\w.,+-]")  # of a value in the name of a file


@dataclass(frozen=True, slots=True)
class Trial:
    """A run of a benchmark with these options, whose result is written to `out`."""

    name: str
    out: Path
    options: Mapping[str, Any] = field(default_factory=dict)


def trials(name: str, option: str, chosen: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Trial]:
    """Return a trial for each value of an option, as it was typed, with all options. Raises InvalidInput."""
    found = get(name)
    for options in chosen.values():
        make_options(found, options)
    file = f"{name}-{option.replace('_', '-')}"
    return [Trial(name, folder / f"{file}-{_SAFE.sub('_', value)}.json", given) for value, given in chosen.items()]


def run_all(found: Sequence[Trial], workers: Workers = INLINE) -> Iterator[Path]:
    """Run the trials and yield the files of their results.

    A result that is there already is not measured again, so that a sweep can be stopped and started again. Times that are
    measured while other workers run on the same machine are longer: use one worker for those.
    """
    yield from workers.run(measure, found)


def measure(trial: Trial) -> Path:
    """Run a trial, unless its result is there, and return the file of the result."""
    if not trial.out.exists():
        run_benchmark(trial.name, trial.out, **trial.options)
    return trial.out
