"""The tables of the retrieval benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.registry import Figure, Result, Rows
from mnemos.bench.text.metrics import CUTOFFS
from mnemos.registry import Entry

KINDS = ("any", "all", "fraction")
SPLITS = ("all", "report", "development", "strict")  # these first, then the others by name
HIDDEN = "no-gold"  # questions that nothing answers: their metrics say nothing


def splits_of(result: Result, granularity: str) -> list[str]:
    """Return the splits of a result at one granularity, in the order of the tables."""
    found = set(next(iter(result["systems"].values()))[granularity]["splits"]) - {HIDDEN}
    return [s for s in SPLITS if s in found] + sorted(found - set(SPLITS))


def quality(granularity: str) -> Callable[[Result], Rows]:
    """Return the table of all metrics, by split and system, at one granularity."""

    def rows(result: Result) -> Rows:
        cells = [f"{' / '.join(KINDS)} @{k}" for k in CUTOFFS]
        lines: Rows = [["questions", "system", "n", *cells, "nDCG@10", "MRR", "hit@1"]]
        for split in splits_of(result, granularity):
            for system, parts in result["systems"].items():
                m = parts[granularity]["splits"][split]
                recalls = [" / ".join(f"{m[f'{kind}@{k}']:.3f}" for kind in KINDS) for k in CUTOFFS]
                rest = [f"{m[name]:.3f}" for name in ("ndcg@10", "mrr", "hit@1")]
                lines.append([split, system, m["n"], *recalls, *rest])
        return lines

    return rows


def categories(granularity: str, metric: str = "fraction@10") -> Callable[[Result], Rows]:
    """Return the table of one metric by category: over all questions, and over those of the report split."""

    def rows(result: Result) -> Rows:
        systems = result["systems"]
        first = next(iter(systems.values()))[granularity]["splits"]
        splits = [s for s in splits_of(result, granularity) if s != "development"]
        columns = [(split, system) for split in splits for system in systems]
        lines: Rows = [["category", "n", *(f"{system}, {split}" for split, system in columns)]]
        for category, values in first["all"]["by_category"].items():
            line: list[Any] = [category, values["n"]]
            for split, system in columns:
                m = systems[system][granularity]["splits"][split]["by_category"].get(category)
                line.append("–" if m is None else f"{m[metric]:.3f}")
            lines.append(line)
        return lines

    return rows


def speed(result: Result) -> Rows:
    """Return the table of latencies by system and granularity, and of the ingest rate."""
    lines: Rows = [["what", "n", "p50, ms", "p95, ms", "a second"]]
    for system, parts in result["systems"].items():
        for granularity, part in parts.items():
            t = part["latency"]
            what = f"search by {granularity}, k = {t['k']}: {system}"
            lines.append([what, t["n"], f"{t['p50_ms']:.1f}", f"{t['p95_ms']:.1f}", "–"])
    ingest = result["ingest"]
    lines.append(["ingest, all included", ingest["messages"], "–", "–", f"{ingest['per_second']:.0f}"])
    return lines


def summary(title: str) -> Callable[[Result], Rows]:
    """Return the summary of a benchmark: the fraction of the evidence in the first ten, on the report half."""

    def rows(result: Result) -> Rows:
        systems = result["systems"]
        lines: Rows = [["fraction of the evidence among the first 10, report half", "questions", *systems]]
        for granularity, part in next(iter(systems.values())).items():
            if "report" in part["splits"]:
                cells = [f"{s[granularity]['splits']['report']['fraction@10']:.3f}" for s in systems.values()]
                lines.append([f"{title}, by {granularity}", part["splits"]["report"]["n"], *cells])
        return lines

    return rows


SYSTEM_OF = {  # the system of a run that shows what a method does, by form and name
    ("index", "terms"): "bm25", ("text", "bm25"): "bm25", ("text", "embed"): "vectors", ("text", "cosine"): "vectors",
    ("text", "vectors"): "vectors",
    ("text", "hybrid"): "mnemos", ("text", "mnemos"): "mnemos", ("text", "entries"): "mnemos",
    ("text", "sessions"): "mnemos", ("text", "dates"): "mnemos",
    ("text", "pagerank"): "consolidated", ("text", "spread"): "consolidated", ("text", "summaries"): "consolidated",
    ("text", "episodes"): "consolidated", ("text", "profiles"): "consolidated", ("text", "similar"): "consolidated",
}  # fmt: skip
OTHERS = {"bm25": ("vectors",), "vectors": ("bm25",), "mnemos": ("bm25", "vectors"), "consolidated": ("mnemos",)}


def figure(title: str) -> Callable[[Result, Entry], Figure | None]:
    """Return what a benchmark says of the methods of retrieval: all of the evidence found, on the report half."""

    def say(result: Result, entry: Entry) -> Figure | None:
        system = SYSTEM_OF.get((entry.form, entry.name))
        if system is None or system not in result["systems"]:
            return None
        units = list(result["systems"][system])
        unit = "session" if entry.name == "sessions" else units[0]
        if unit not in units:
            return None

        def cell(name: str) -> str:
            split = result["systems"][name][unit]["splits"]["report"]
            return percent((split["by_category"]["temporal"] if entry.name == "dates" else split)["all@10"], 0)

        asked = "temporal questions" if entry.name == "dates" else "questions"
        text = f"finds all the evidence of {cell(system)} of the {asked} of {title} in the ten best {unit}s"
        return Figure(text, {name: cell(name) for name in OTHERS[system] if name in result["systems"]})

    return say
