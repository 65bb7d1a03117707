"""The laws of what weights memorise, each an experiment on models that are trained here: `mnemos bench laws`.

Each part is a paper's law: what it says, whether it was seen on models of ten thousand to a few hundred thousand
parameters, and the figures with their spread over seeds. A claim that was not seen is reported so; at this scale some
cannot be. `--parts` measures some of them and leaves what is stored of the others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

Part = Literal[
    "recognition", "acquisition", "profiles", "repetition", "capacity",
    "forgetting", "canaries", "extraction", "forecast", "clashes",
]  # fmt: skip
PAPERS: dict[str, str] = {  # what each part is of
    "recognition": "2303.17557",
    "acquisition": "2406.11813",
    "profiles": "2406.04327",
    "repetition": "2205.10487",
    "capacity": "2404.05405",
    "forgetting": "2401.05605",
    "canaries": "2510.19811",
    "extraction": "2312.11658",
    "forecast": "2304.11158",
    "clashes": "2305.13300",
}


@dataclass(frozen=True)
class Options:
    """Which laws, and how often each is measured."""

    parts: tuple[Part, ...] = get_args(Part)  # laws to measure
    seeds: tuple[int, ...] = (0, 1, 2)  # of data, weights and order
    cache: Path | None = None  # folder where the figures of each seed are kept, so that a long run can go on


def summary(result: Result) -> Rows:
    """Return how many claims of each law were seen."""
    rows: Rows = [["law", "paper", "seeds", "claims", "seen", "partly", "not seen", "processor seconds"]]
    for name, part in _in_order(result).items():
        seen = [claim["seen"] for claim in part["claims"]]
        counts = [seen.count(kind) for kind in ("yes", "partly", "no")]
        rows.append(
            [name, f"arXiv {PAPERS[name]}", len(part["seeds"]), len(seen), *counts, f"{part['cpu_seconds']:.0f}"]
        )
    return rows


def claims(name: str, result: Result) -> Rows:
    """Return the claims of a law, whether each was seen, and the figures."""
    found = result["parts"].get(name, {"claims": [{"says": "not measured yet", "seen": "–", "figure": "–"}]})["claims"]
    return [["what the law says", "seen here", "figures"], *([c["says"], c["seen"], c["figure"]] for c in found)]


def plot(result: Result, path: Path) -> Path:
    """Draw a picture of each law beside `path`; return the last one's path."""
    from mnemos.bench.parametric.laws_plot import draw

    return [draw(part, path.with_name(f"{path.stem}-{name}.png")) for name, part in _in_order(result).items()][-1]


@benchmark(
    "laws",
    help="The laws of what weights memorise: each an experiment on small models, with what was seen of it.",
    options=Options,
    tables={"laws": summary} | {f"laws-{name}": partial(claims, name) for name in get_args(Part)},
    plot=plot,
    extra="torch",
    parts=True,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure the chosen laws, seed by seed."""
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric.by_seed import append
    from mnemos.bench.parametric.spread import kept

    progress.expect(len(options.parts) * len(options.seeds))
    parts: dict[str, Any] = {}
    with one_thread():
        for name in options.parts:
            law = experiment(name)
            figures: dict[str, Any] = {}
            spent = 0.0
            for seed in options.seeds:
                one = kept(options.cache, f"{name} {seed}", partial(_measured, law, seed))
                append(figures, one["figures"])
                spent += one["cpu_seconds"]
                progress(1)
            about = {"cpu_seconds": round(spent, 1), "seeds": options.seeds}
            parts[name] = {**about, **law.report(figures), "figures": figures}
    return {"parts": parts}


def _in_order(result: Result) -> dict[str, Any]:
    return {name: result["parts"][name] for name in PAPERS if name in result["parts"]}


def _measured(law: Any, seed: int) -> dict[str, Any]:
    started = time.process_time()
    figures = _rounded(law.measure(seed))
    return {"figures": figures, "cpu_seconds": time.process_time() - started}


def experiment(name: str) -> Any:
    """Return the experiment of a law; see `memorising.claims.Experiment`. Imports torch."""
    return import_module(f"mnemos.bench.parametric.memorising.{name}")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _rounded(of) for key, of in value.items()}
    return round(value, 5) if isinstance(value, float) else value
