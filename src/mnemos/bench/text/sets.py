"""All sets side by side: `mnemos bench sets`. Words alone, vectors alone and both fused, by set and language.

It measures nothing: it reads the results of the retrieval benchmarks. A set that took part in fitting what Mnemos ranks
with is marked; on the others the figures are of data that nothing was fitted on. What the weights give on each set when
it is left out of the fit is measured by `python -m benchmarks fit-recall`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import RESULTS, Result, Rows, benchmark, get
from mnemos.bench.text.task import checksum
from mnemos.errors import InvalidInput

PARTS = ("bm25", "vectors")
FITTED = {  # the split that the weights of recall were fitted on, see `weights.json`; "all": what there is of the set
    "locomo": "development", "beam": "development", "realmem": "all", "lifebench": "all", "locomo-plus": "all",
    "factconsolidation": "all", "qmsum": "all", "xquad": "all",
}  # fmt: skip
MARK = " (fitted)"


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows of a benchmark: a metric at a granularity, of a split or of its categories."""

    benchmark: str
    title: str
    granularity: str
    metric: str
    splits: tuple[str, ...] = ("all",)
    by_category: bool = False


SHOWN = (
    Shown("locomo", "LoCoMo, turns", "turn", "fraction@10", ("development", "report")),
    Shown("locomo", "LoCoMo, sessions", "session", "fraction@10", ("development", "report")),
    Shown("realtalk", "REALTALK, turns", "turn", "fraction@10"),
    Shown("realtalk", "REALTALK, sessions", "session", "fraction@10"),
    Shown("beam", "BEAM 100K", "message", "fraction@10", ("development", "report")),
    Shown("realmem", "RealMem, sessions", "session", "all@10"),
    Shown("realmem", "RealMem, sessions", "session", "ndcg@10"),
    Shown("lifebench", "LifeBench", "record", "fraction@10", ("en", "zh")),
    Shown("locomo-plus", "LoCoMo-Plus", "cue", "fraction@10"),
    Shown("factconsolidation", "FactConsolidation", "fact", "hit@1"),
    Shown("qmsum", "QMSum", "turn", "fraction@10"),
    Shown("xquad", "XQuAD", "paragraph", "hit@1", ("same", "to-english"), by_category=True),
)


@dataclass(frozen=True)
class Options:
    """Where the results are."""

    results: Path = RESULTS  # the folder of results, with text/locomo.json and the others


def lines_of(shown: Shown, result: Result) -> Iterator[dict[str, Any]]:
    """Yield the rows of a benchmark: its figures by system."""
    systems = {s: result["systems"][s][shown.granularity]["splits"] for s in ("mnemos", *PARTS)}
    for split in shown.splits:
        found = {name: splits[split] for name, splits in systems.items()}
        if shown.by_category:
            every = {name: {"": values} | values["by_category"] for name, values in found.items()}
        else:
            every = {name: {"": values} for name, values in found.items()}
        for category in every["mnemos"]:
            what = " ".join(part for part in (split if split != "all" else "", category) if part)
            yield {
                "set": shown.title,
                "what": what,
                "metric": shown.metric,
                "n": every["mnemos"][category]["n"],
                "fitted": FITTED.get(shown.benchmark) == split or FITTED.get(shown.benchmark) == "all",
                **{name: values[category][shown.metric] for name, values in every.items()},
            }


def table(result: Result) -> Rows:
    """Return the figures of all sets, and how far the fused search is ahead of the better of its parts."""
    lines: Rows = [["set", "questions", "metric", "n", "words", "vectors", "mnemos", "ahead of the better part"]]
    for row in result["rows"]:
        ahead = row["mnemos"] - max(row[part] for part in PARTS)
        figures = [f"{row[name]:.3f}" for name in (*PARTS, "mnemos")]
        name = row["set"] + (MARK if row["fitted"] else "")
        lines.append([name, row["what"] or "all", row["metric"], row["n"], *figures, f"{ahead:+.3f}"])
    return lines


@benchmark(
    "sets",
    help="Words alone, vectors alone and both fused on all sets that were measured, side by side.",
    options=Options,
    tables={"sets": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Read the results that there are. Raises InvalidInput where there is none."""
    paths = {shown.benchmark: get(shown.benchmark).path(options.results) for shown in SHOWN}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}
    if not found:
        raise InvalidInput(f"{options.results} has no result of {', '.join(paths)}. Measure one first.")
    rows = [row for shown in SHOWN if shown.benchmark in found for row in lines_of(shown, found[shown.benchmark])]
    sums = {name: checksum(paths[name]) for name in found}
    return {"rows": rows, "results": sums}
