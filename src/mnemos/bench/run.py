"""`mnemos bench NAME`: run one benchmark and write one JSON result."""

from __future__ import annotations

import importlib
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

from mnemos.bench import machine
from mnemos.bench.text import retrieval
from mnemos.bench.text.task import Task
from mnemos.embed import Embedder
from mnemos.errors import InvalidInput
from mnemos.system import Mnemos

RESULTS = Path("benchmarks/results")
RETRIEVAL = ("locomo", "beam", "longmemeval")
# Benchmarks of the life of memories: all generate their data, all take a seed.
LIFE = (
    "facts", "stage-faults", "temporal-order", "retention", "poison", "endurance", "erasure", "faults", "summary-loss",
)  # fmt: skip
PLOTTED = {  # a picture is written beside the result
    "facts": attrgetter("plot_facts"), "retention": attrgetter("plot_retention"), "poison": attrgetter("plot_poison"),
    "endurance": attrgetter("plot_endurance"), "kv": attrgetter("plot_kv"),
}  # fmt: skip
# Benchmarks of activation memory, which need torch but for the schedules: all take a seed.
KV = {
    "train-models": "kv.baseline", "kv": "kv.matrix", "kv-long": "kv.long", "kv-diffusion": "kv.diffusion",
    "kv-speed": "kv.speed", "kv-pages": "kv.pages", "kv-schedule": "kv.schedule",
}  # fmt: skip
NAMES = (*RETRIEVAL, "scale", "startup", *LIFE, *KV)


def run_benchmark(name: str, data: Path | None = None, out: Path | None = None, **options: Any) -> dict[str, Any]:
    """Run one benchmark and return its result, which is also written as JSON.

    `out` is the file or folder to write to; without it a run without options goes to `benchmarks/results/FAMILY/NAME.json`,
    and one with options, which is another measurement, is returned only. The retrieval benchmarks (locomo, beam,
    longmemeval) need `data` and take `systems`, `splits`, `limit` (haystacks) and `embedder`; `scale` takes `sizes`,
    `vectors`, `adds`, `queries` and `seed`; `startup` takes `repeats`; `train-models` and `kv` take `kind`, `kv` also
    `contexts`, `methods` and `model` (a folder); they and all others take `seed`. Raises InvalidInput for an unknown
    name, or data of another form.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if name in RETRIEVAL:
        if data is None:
            raise InvalidInput(f"{name} needs its data: give --data PATH. docs/benchmarks.md says where to get it.")
        result = run_retrieval(name, Path(data), **given)
    elif name == "scale":
        from mnemos.bench.text import scale

        result = scale.measure(**given)
    elif name == "startup":
        from mnemos.bench.text import startup

        result = startup.measure(**given)
    elif name in (*LIFE, *KV):
        module = importlib.import_module(f"mnemos.bench.{KV.get(name) or 'text.' + name.replace('-', '_')}")
        with progress(name, None) as step:
            steps = {"progress": step} if "progress" in inspect.signature(module.run).parameters else {}
            result = module.run(**given, **steps)
    else:
        raise InvalidInput(f"there is no benchmark {name!r}: choose from {', '.join(NAMES)}.")
    result = header(name, data, given) | result
    if out is not None or not given:
        path = write(result, Path(out) if out is not None else RESULTS / ("kv" if name in KV else "text"))
        if name in PLOTTED:
            from mnemos.bench import plots

            PLOTTED[name](plots)(result, path.with_suffix(".png"))
    return result


def run_retrieval(
    name: str,
    data: Path,
    *,
    systems: Sequence[str] = tuple(retrieval.SYSTEMS),
    splits: Sequence[str] | None = None,
    limit: int | None = None,
    embedder: str | Embedder | None = None,
) -> dict[str, Any]:
    """Load a task, keep the splits asked for and the first `limit` haystacks, and run the systems over it."""
    task = load(name, data)
    if splits is not None:
        task = only_splits(task, splits)
    task = replace(task, haystacks=task.haystacks[:limit])
    counts = {
        "haystacks": len(task.haystacks),
        "messages": sum(len(h.messages) for h in task.haystacks),
        "questions": sum(len(h.questions) for h in task.haystacks),
    }
    queries = counts["questions"] * len(systems) * len(task.granularities)
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder) as memory,
        progress(name, counts["messages"] + queries) as step,
    ):
        model = memory.embedder and {"name": memory.embedder.name, "revision": memory.embedder.revision}
        measured = retrieval.evaluate(memory, task, systems=systems, step=step)
    return {"data": task.source | counts, "embedder": model} | measured


def load(name: str, data: Path) -> Task:
    """Read the data of a retrieval benchmark. Raises InvalidInput when it is not in the expected form."""
    from mnemos.bench.text import beam, locomo, longmemeval

    loaders: dict[str, Callable[[Path], Task]] = {
        "locomo": locomo.load,
        "beam": beam.load,
        "longmemeval": longmemeval.load,
    }
    return loaders[name](data)


def only_splits(task: Task, splits: Sequence[str]) -> Task:
    """Return the task with the questions of these splits, without the haystacks that are left with none."""
    known = {q.split for h in task.haystacks for q in h.questions}
    if unknown := set(splits) - known:
        raise InvalidInput(f"{task.name} has no split {sorted(unknown)}: choose from {', '.join(sorted(known))}.")
    kept = [replace(h, questions=[q for q in h.questions if q.split in splits]) for h in task.haystacks]
    return replace(task, haystacks=[h for h in kept if h.questions])


def header(name: str, data: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return what says how a result came about: name, date, version, command and machine."""
    from mnemos import __version__

    return {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "mnemos": __version__,
        "command": command(name, data, options),
        "machine": machine.describe(),
    }


def command(name: str, data: Path | None, options: dict[str, Any]) -> str:
    """Return the command line that runs this benchmark again; of the data only its name, not where it lay."""
    parts = ["mnemos bench", name]
    if data is not None:
        parts.append(f"--data {Path(data).name}")
    for key, value in options.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(getattr(value, "name", value))
        parts.append(f"--{key.replace('_', '-')} {text}")
    return " ".join(parts)


def write(result: dict[str, Any], out: Path) -> Path:
    """Write a result to `out`: a `.json` file, or a folder (made when missing) that gets NAME.json."""
    path = out if out.suffix == ".json" else out / f"{result['benchmark']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


@contextmanager
def progress(label: str, total: int | None) -> Iterator[retrieval.Step]:
    """Show a bar on stderr (where it is a terminal); yields what to call with the number of steps done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done: bar.advance(task, done)
