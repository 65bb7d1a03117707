"""Run a benchmark and write its result, one JSON file that names the command, the date and the machine."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mnemos.bench import machine
from mnemos.bench.progress import progress_bar
from mnemos.bench.registry import RESULTS, Benchmark, get, near
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput, MnemosError, UnknownLanguage

OF_A_PART = (
    "seeds",
    "cache",
    "states",
    "mnist",
    "data",
    "stored",
    "repeat",
)  # options that each stored part may have had of its own


def run_benchmark(name: str, out: Path | None = None, **options: Any) -> dict[str, Any]:
    """Run a benchmark with these options and return its result; see its data class of options.

    The result is also written to `out`, a `.json` file or a folder. Without `out` a run with the default options goes
    to `benchmarks/results/FAMILY/NAME.json`; one with other options, which is another measurement, is returned only.
    Chosen parts of a benchmark that has `parts` are no other measurement: they replace those that are stored, each with
    its seeds, states and data, from a `cache` or not. A picture is drawn beside what is written, where the benchmark has
    one. Raises InvalidInput for an unknown name or option, and MnemosError when a package that it needs is not
    installed, or when the result, which is written first, has a problem.
    """
    found = get(name)
    chosen = make_options(found, options)
    given = changed(chosen)
    try:
        with progress_bar(name) as progress, warnings.catch_warnings():
            warnings.simplefilter("ignore", UnknownLanguage)  # each space would say so once
            measured = found.run(chosen, progress)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mnemos"):
            raise
        how = install_command(found.extra) if found.extra else f"see {found.run.__module__}"
        raise MnemosError(f"{name} needs {error.name}: {how}.") from error
    result = header(found, given) | measured
    chosen_parts = found.parts and bool({"parts", "stored"} & set(given)) and set(given) <= {"parts", *OF_A_PART}
    if out is not None or chosen_parts or all(f.default is MISSING for f in fields(chosen) if f.name in given):
        place = file_of(found, Path(out) if out is not None else RESULTS / found.family)
        result = with_stored(result, place) if chosen_parts else result
        path = write(result, place)
        if found.plot is not None:
            found.plot(result, path.with_suffix(".png"))
    if found.problem is not None and (problem := found.problem(result)) is not None:
        raise MnemosError(f"{name} failed: {problem}")
    return result


def make_options(found: Benchmark, given: Mapping[str, Any]) -> Any:
    """Return the options of a benchmark; those given as None keep their default.

    Raises InvalidInput for an option that it does not have, one that is missing, and a count below 1.
    """
    given = {key: value for key, value in given.items() if value is not None}
    known = [field.name for field in fields(found.options)]
    hints = get_type_hints(found.options)
    for key, value in given.items():
        if key not in known:
            raise InvalidInput(f"{found.name} has no option {key!r}: {near(key, known)}")
        if type(value) is int and value < 1 and key != "seed":
            raise InvalidInput(f"{key} is {value}: give 1 or more.")
        _check_choice(key, value, hints[key])
    if missing := [f"--{f.name}" for f in fields(found.options) if f.default is MISSING and f.name not in given]:
        raise InvalidInput(f"{found.name} needs {', '.join(missing)}: see `{found.command} {found.name} --help`.")
    return found.options(**given)


def _check_choice(name: str, value: Any, hint: Any) -> None:
    """Raise InvalidInput for a value that is not one of a Literal, or of a tuple of them."""
    if get_origin(hint) is tuple:
        for part in value:
            _check_choice(name, part, get_args(hint)[0])
    elif get_origin(hint) is Literal and value not in get_args(hint):
        raise InvalidInput(f"{name} is {value!r}: {near(str(value), get_args(hint))}")


def changed(options: Any) -> dict[str, Any]:
    """Return the options that differ from their defaults."""
    return {f.name: value for f in fields(options) if (value := getattr(options, f.name)) != f.default}


def header(found: Benchmark, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says how a result came about: name, date, version, command and machine."""
    from mnemos import __version__

    return {
        "benchmark": found.name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "mnemos": __version__,
        "command": command(found, given),
        "machine": machine.describe(),
    }


def command(found: Benchmark, given: Mapping[str, Any]) -> str:
    """Return the command line that runs a benchmark again; of a path only its name, not where it lay."""
    parts = [found.command, found.name]
    for key, value in given.items():
        if isinstance(value, bool):
            parts.append(f"--{'' if value else 'no-'}{key.replace('_', '-')}")
            continue
        values = value if isinstance(value, list | tuple) else (value,)
        text = ",".join(str(getattr(each, "name", each)) for each in values)
        parts.append(f"--{key.replace('_', '-')} {text}")
    return " ".join(parts)


def file_of(found: Benchmark, out: Path) -> Path:
    """Return the file of a result: `out` where that is a `.json` file, else NAME.json in that folder."""
    return out if out.suffix == ".json" else out / f"{found.name}.json"


def with_stored(result: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a result of some parts with the parts that are stored in a file, and the command that measures all."""
    stored = json.loads(path.read_text(encoding="utf-8"))["parts"] if path.exists() else {}
    command = result["command"].partition(" --")[0]
    return result | {"command": command, "parts": stored | result["parts"]}


def write(result: Mapping[str, Any], path: Path) -> Path:
    """Write a result to a file, whose folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path
