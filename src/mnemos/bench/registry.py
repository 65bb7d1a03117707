"""The registry of benchmarks: one module each, with its options, tables, picture, and what it says of each method.

A benchmark is a function `run(options, progress)` that returns a result ready for JSON, decorated with `benchmark`. Its
options are a data class: the comments at the fields are the help of the command line. Adding one means adding a file to
`mnemos/bench/FAMILY` (it measures methods, anybody can run it) or to `benchmarks/FAMILY` of the repository (it measures
Mnemos itself and its peers); nothing else names it.

Names are found by reading the sources, which imports nothing. A module with a benchmark imports only what the core of
Mnemos needs; torch and the like are imported when it runs, so that help and tables do without them.
"""

from __future__ import annotations

import difflib
import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mnemos.errors import InvalidInput
from mnemos.registry import Entry, all_entries

PACKAGE, PRODUCT = "mnemos.bench", "benchmarks"
RESULTS = Path("benchmarks/results")
Result = Mapping[str, Any]
Rows = list[list[Any]]  # the first one is the header
Table = Callable[[Result], Rows]
Run = TypeVar("Run", bound=Callable[..., dict[str, Any]])
_DECLARED = re.compile(r'^@benchmark\(\s*"([^"]+)"', re.MULTILINE)


class Figure(NamedTuple):
    """What a result says of one method."""

    text: str  # a sentence without its subject: "answers 90 % of ..."
    others: Mapping[str, str] = {}  # the same figure of what the method is compared with, by name


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One registered benchmark."""

    name: str
    family: str  # the folder that its module is in
    help: str  # one sentence
    run: Callable[..., dict[str, Any]]  # (options, progress) -> result
    options: type  # a data class
    tables: Mapping[str, Table]  # the tables of the docs by name
    plot: Callable[[Result, Path], Path] | None = None  # draws a picture to a path
    figure: Callable[[Result, Entry], Figure | None] | None = None  # what a result says of a method; None: nothing
    problem: Callable[[Result], str | None] | None = (
        None  # what a result must not have, such as lost writes; None: sound
    )
    extra: str | None = None  # of `pip install mnemos-os[EXTRA]`, which it needs to run
    command: str = "mnemos bench"  # what runs it, before its name
    parts: bool = False  # whether its option `parts` chooses parts of its result; what is stored of others is kept

    def path(self, results: Path = RESULTS) -> Path:
        """Return the file of its last full result in a folder of results."""
        return results / self.family / f"{self.name}.json"


_BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(
    name: str,
    *,
    help: str,
    options: type,
    tables: Mapping[str, Table] | None = None,
    plot: Callable[[Result, Path], Path] | None = None,
    figure: Callable[[Result, Entry], Figure | None] | None = None,
    problem: Callable[[Result], str | None] | None = None,
    extra: str | None = None,
    parts: bool = False,
) -> Callable[[Run], Run]:
    """Register the decorated function; see `Benchmark` for the fields.

    Raises ValueError when another module has a benchmark of that name.
    """

    def add(run: Run) -> Run:
        package, _, family = run.__module__.rpartition(".")[0].rpartition(".")
        command = "mnemos bench" if package == PACKAGE else f"python -m {package}"
        made = Benchmark(name, family, help, run, options, tables or {}, plot, figure, problem, extra, command, parts)
        known = _BENCHMARKS.get(name)
        if known is not None and known.run.__module__ != run.__module__:
            raise ValueError(f"benchmark name {name!r} is taken by {known.run.__module__}: choose another name.")
        _BENCHMARKS[name] = made
        return run

    return add


def names(*packages: str) -> dict[str, str]:
    """Return the module of every benchmark by name, as read from the sources; imports nothing.

    Without `packages` those of `mnemos.bench`, and those of the repository where `benchmarks` can be imported.
    """
    found: dict[str, str] = {}
    for package in packages or (PACKAGE, PRODUCT):
        for path in _sources(package):
            for name in _DECLARED.findall(path.read_text(encoding="utf-8")):
                found[name] = f"{package}.{path.parent.name}.{path.stem}"
    return found


def _sources(package: str) -> Iterator[Path]:
    try:
        homes = importlib.import_module(package).__path__
    except ModuleNotFoundError:
        return
    for home in homes:
        yield from sorted(Path(home).glob("*/*.py"))


def get(name: str) -> Benchmark:
    """Return a benchmark; imports its module only. Raises InvalidInput for an unknown name, with the nearest ones."""
    known = names()
    if name not in known:
        raise InvalidInput(f"there is no benchmark {name!r}: {near(name, known)}")
    importlib.import_module(known[name])
    return _BENCHMARKS[name]


def all_benchmarks() -> list[Benchmark]:
    """Return all benchmarks by family and name; imports their modules."""
    return sorted((get(name) for name in names()), key=lambda b: (b.family, b.name))


def near(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return a sentence with the names nearest to one that does not exist, or with all names where none is near."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(close)}?" if close else f"choose from {', '.join(known)}."


def check_parts(chosen: Sequence[str], known: Sequence[str] | Mapping[str, Any]) -> None:
    """Raise InvalidInput for a part of a benchmark that there is not: called before anything is measured."""
    for part in chosen:
        if part not in known:
            raise InvalidInput(f"there is no part {part!r}: {near(part, known)}")


def measured(results: Path = RESULTS) -> dict[tuple[str, str], list[str]]:
    """Return the benchmarks whose last result has a method, by (form, name) of the method."""
    found: dict[tuple[str, str], list[str]] = {}
    entries = all_entries()
    for each in all_benchmarks():
        path = each.path(results)
        if each.figure is None or not path.exists():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries:
            if each.figure(result, entry) is not None:
                found.setdefault((entry.form, entry.name), []).append(each.name)
    return found
