"""The laws of memory, each an experiment that anybody can run again: `mnemos bench laws`.

Each part is what papers say, whether it was seen here, on a simulation or on models of a few thousand to a few hundred
thousand parameters, with figures and fitted curves over seeds, and what it means for a memory. A claim that was not seen is
reported so; at this scale some cannot be. `mnemos bench laws NAME` measures one and leaves what is stored of the others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mnemos.bench.laws.catalogue import experiment, laws, paper
from mnemos.bench.laws.claims import Experiment
from mnemos.bench.progress import Progress
from mnemos.bench.registry import RESULTS, Figure, Result, Rows, benchmark, check_parts
from mnemos.errors import InvalidInput
from mnemos.registry import Entry

STORED = RESULTS / "laws" / "laws.json"


@dataclass(frozen=True)
class Options:
    """Which laws, and how often each is measured."""

    parts: tuple[str, ...] = tuple(laws())  # laws to measure
    seeds: tuple[int, ...] = (0, 1, 2)  # of data, weights and order
    cache: Path | None = None  # folder where the figures of each seed are kept, so that a long run can go on
    stored: bool = False  # report on the figures that are stored, without measuring them again
    repeat: bool = False  # keep the stored figures, and store beside them what the claims come to on these other seeds


def summary(result: Result) -> Rows:
    """Return how many claims of each law were seen."""
    rows: Rows = [
        ["law", "paper", "seeds", "claims", "seen", "partly", "not seen", "same on other seeds", "processor seconds"]
    ]
    for name, part in _in_order(result).items():
        seen = [claim["seen"] for claim in part["claims"]]
        counts = [seen.count(kind) for kind in ("yes", "partly", "no")]
        of = ", ".join(map(paper, laws()[name].papers))
        rows.append([name, of, len(part["seeds"]), len(seen), *counts, agreement(part), f"{part['cpu_seconds']:.0f}"])
    return rows


def agreement(part: Mapping[str, Any]) -> str:
    """Return how many verdicts of a law are the same on the seeds that it was repeated on; a dash where it was not."""
    if not (again := part.get("repeated")):
        return "-"
    same = sum(a["seen"] == b for a, b in zip(part["claims"], again["seen"], strict=True))
    return f"{same} of {len(again['seen'])} ({', '.join(map(str, again['seeds']))})"


def fits(result: Result) -> Rows:
    """Return the fitted curves of all laws, with the intervals of their numbers."""
    rows: Rows = [["law", "curve", "form", "numbers (95 %)", "R²"]]
    for name, part in _in_order(result).items():
        for fit in part.get("fits", ()):
            numbers = (f"{of} {v:.3g} ({low:.3g} to {high:.3g})" for of, (v, low, high) in fit["numbers"].items())
            rows.append([name, f"{fit['panel']}: {fit['curve']}", fit["says"], ", ".join(numbers), f"{fit['r2']:.3f}"])
    return rows if len(rows) > 1 else []


def claims(name: str, result: Result) -> Rows:
    """Return the claims of a law, whether each was seen, and the figures; nothing where it was not measured."""
    if name not in result["parts"]:
        return []
    rows = ([c["says"], c["seen"], c["figure"]] for c in result["parts"][name]["claims"])
    return [["what the law says", "seen here", "figures"], *rows]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the laws say of a method that one of them measures."""
    for part in _in_order(result).values():
        if found := part.get("methods", {}).get(f"{entry.form}/{entry.name}"):
            return Figure(found["text"], found["others"])
    return None


def plot(result: Result, path: Path) -> Path:
    """Draw a picture of each law beside `path`; return the last one's path."""
    from mnemos.bench.laws.plot import draw

    return [draw(part, path.with_name(f"{path.stem}-{name}.png")) for name, part in _in_order(result).items()][-1]


@benchmark(
    "laws",
    help="The laws of memory: each an experiment, with what was seen of it and what it means.",
    options=Options,
    tables={"laws": summary, "laws-fits": fits} | {f"laws-{name}": partial(claims, name) for name in laws()},
    plot=plot,
    figure=figure,
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure the chosen laws, seed by seed. Raises InvalidInput for an unknown one."""
    check_parts(options.parts, laws())
    progress.expect(len(options.parts) * len(options.seeds))
    if options.repeat:
        return _repeated(options, progress)
    return _reported(options) if options.stored else {"parts": _measured(options, progress)}


def _measured(options: Options, progress: Progress) -> dict[str, Any]:
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric.by_seed import append
    from mnemos.bench.parametric.spread import kept

    parts: dict[str, Any] = {}
    with one_thread():
        for name in options.parts:
            law = experiment(name)
            figures: dict[str, Any] = {}
            spent = 0.0
            for seed in options.seeds:
                one = kept(options.cache, f"{name} {seed}", partial(_one, law, seed))
                append(figures, one["figures"])
                spent += one["cpu_seconds"]
                progress(1)
            about = {"cpu_seconds": round(spent, 1), "seeds": options.seeds}
            parts[name] = {**about, **law.report(figures), "figures": figures}
    return parts


def _stored(options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the stored result, and of it the chosen laws; those that are not stored are left out."""
    if not STORED.exists():
        raise InvalidInput(f"there is no {STORED} here: run this in the folder of the repository.")
    result: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return result, {name: result["parts"][name] for name in options.parts if name in result["parts"]}


def _repeated(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the chosen laws as they are stored, with what their claims come to on other seeds."""
    result, parts = _stored(options)
    for name, part in parts.items():
        if common := set(part["seeds"]) & set(options.seeds):
            raise InvalidInput(f"{name} is stored with seed {min(common)}: give other ones, such as --seeds 3,4,5.")
    for name, again in _measured(replace(options, parts=tuple(parts)), progress).items():
        if len(again["claims"]) != len(parts[name]["claims"]):
            raise InvalidInput(f"{name} is stored with other claims: measure it on the stored seeds first.")
        seen = [claim["seen"] for claim in again["claims"]]
        parts[name] = parts[name] | {"repeated": {"seeds": options.seeds, "seen": seen}}
    return {of: result[of] for of in ("date", "mnemos", "machine")} | {"parts": parts}


def _reported(options: Options) -> dict[str, Any]:
    """Return the stored result of the chosen laws, with what their figures say now."""
    result, parts = _stored(options)
    said = {name: part | experiment(name).report(part["figures"]) for name, part in parts.items()}
    return {of: result[of] for of in ("date", "mnemos", "machine")} | {"parts": said}


def _in_order(result: Result) -> dict[str, Any]:
    return {name: result["parts"][name] for name in laws() if name in result["parts"]}


def _one(law: Experiment, seed: int) -> dict[str, Any]:
    started = time.process_time()
    figures = _rounded(law.measure(seed))
    return {"figures": figures, "cpu_seconds": time.process_time() - started}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(of) for key, of in value.items()}
    return round(value, 5) if isinstance(value, float) else value
