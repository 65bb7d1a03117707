"""`mnemos bench report`: renders the tables of docs/benchmarks.md from the result files, and nothing else of it.

A table stands between `<!-- table NAME -->` and `<!-- end NAME -->`; the prose around it is left alone. Every figure
comes from one result file, and each table names the command that made it and the machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemos.bench.text import tables
from mnemos.bench.text.metrics import CUTOFFS
from mnemos.errors import InvalidInput, MnemosError

Result = Mapping[str, Any]
KINDS = ("any", "all", "fraction")
SPLITS = ("all", "report", "development", "strict")
MARK = re.compile(r"(<!-- table (?P<name>\S+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


class StaleDocs(MnemosError):
    """The tables in the docs are not those that the result files give."""


def render(results_dir: Path, docs_path: Path, check: bool = False) -> bool:
    """Write the tables into `docs_path`; return whether that changed it.

    With `check` nothing is written and StaleDocs is raised if it would change. A table without a result file
    says so. Raises InvalidInput for a table name that is not known, or a missing page.
    """
    results_dir, docs_path = Path(results_dir), Path(docs_path)
    if not docs_path.exists():
        raise InvalidInput(f"{docs_path} is not there. Run this in the folder of the repository, or give its path.")
    old = docs_path.read_text(encoding="utf-8")
    new = MARK.sub(lambda m: f"{m[1]}{table(m['name'], results_dir)}\n{m[3]}", old)
    if check and new != old:
        raise StaleDocs(f"the tables of {docs_path} are not those of {results_dir}: run `mnemos bench report`.")
    if new != old:
        docs_path.write_text(new, encoding="utf-8")
    return new != old


def table(name: str, results_dir: Path) -> str:
    """Return one table in Markdown, with its source below it."""
    if name not in TABLES:
        raise InvalidInput(f"there is no table {name!r}: choose from {', '.join(TABLES)}.")
    file, rows = TABLES[name]
    path = results_dir / f"{file}.json"
    if not path.exists():
        return f"Not measured yet: there is no `{file}.json` in the results."
    result = json.loads(path.read_text(encoding="utf-8"))
    return f"{markdown(rows(result))}\n\n{source(result)}"


def source(result: Result) -> str:
    """Return the line below a table: command, date, version, machine, and the data's checksum."""
    m = result["machine"]
    parts = [
        f"`{result['command']}`",
        result["date"][:10],
        f"Mnemos {result['mnemos']}",
        f"{m['cores']} cores of {m['cpu']}, {m['memory_gib']} GiB",
        f"Python {m['python']}, onnxruntime {m['onnxruntime']}",
    ]
    if data := result.get("data"):
        parts.append(f"data {data['file']} (SHA-256 {data['sha256'][:12]}…)")
    return f"<sub>{' · '.join(parts)}</sub>"


def markdown(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows, the first of which is the header, as a Markdown table; all columns but text to the right."""
    header, *body = [[str(cell) for cell in row] for row in rows]
    right = [all(re.match(r"[\d.,/ –%-]*$", row[i]) for row in body) for i in range(len(header))]
    rule = ["---:" if numeric else "---" for numeric in right]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *body])


def quality(granularity: str) -> Callable[[Result], list[list[Any]]]:
    """Return the table of all metrics, by split and system, at one granularity."""

    def rows(result: Result) -> list[list[Any]]:
        cells = [f"{' / '.join(KINDS)} @{k}" for k in CUTOFFS]
        lines: list[list[Any]] = [["questions", "system", "n", *cells, "nDCG@10", "MRR", "hit@1"]]
        for split in SPLITS:
            for system, parts in result["systems"].items():
                if (m := parts[granularity]["splits"].get(split)) is None:
                    continue
                recalls = [" / ".join(f"{m[f'{kind}@{k}']:.3f}" for kind in KINDS) for k in CUTOFFS]
                rest = [f"{m[name]:.3f}" for name in ("ndcg@10", "mrr", "hit@1")]
                lines.append([split, system, m["n"], *recalls, *rest])
        return lines

    return rows


def categories(granularity: str, metric: str = "fraction@10") -> Callable[[Result], list[list[Any]]]:
    """Return the table of one metric by category: over all questions, and over those of the report split."""

    def rows(result: Result) -> list[list[Any]]:
        systems = result["systems"]
        first = next(iter(systems.values()))[granularity]["splits"]
        splits = [s for s in SPLITS if s in first and s != "development"]
        columns = [(split, system) for split in splits for system in systems]
        lines: list[list[Any]] = [["category", "n", *(f"{system}, {split}" for split, system in columns)]]
        for category, values in first["all"]["by_category"].items():
            line: list[Any] = [category, values["n"]]
            for split, system in columns:
                m = systems[system][granularity]["splits"][split]["by_category"].get(category)
                line.append("–" if m is None else f"{m[metric]:.3f}")
            lines.append(line)
        return lines

    return rows


def speed(result: Result) -> list[list[Any]]:
    """Return the table of latencies by system and granularity, and of the ingest rate."""
    lines: list[list[Any]] = [["what", "n", "p50, ms", "p95, ms", "a second"]]
    for system, parts in result["systems"].items():
        for granularity, part in parts.items():
            t = part["latency"]
            what = f"search by {granularity}, k = {t['k']}: {system}"
            lines.append([what, t["n"], f"{t['p50_ms']:.1f}", f"{t['p95_ms']:.1f}", "–"])
    ingest = result["ingest"]
    lines.append(["ingest, all included", ingest["messages"], "–", "–", f"{ingest['per_second']:.0f}"])
    return lines


def summary(result: Result) -> list[list[Any]]:
    """Return the table in a nutshell: the share of the evidence among the first ten, on the report half."""
    systems = result["systems"]
    lines: list[list[Any]] = [["fraction of the evidence among the first 10, report half", "questions", *systems]]
    for granularity, part in next(iter(systems.values())).items():
        cells = [f"{s[granularity]['splits']['report']['fraction@10']:.3f}" for s in systems.values()]
        what = f"{result['benchmark'].upper().replace('LOCOMO', 'LoCoMo')}, by {granularity}"
        lines.append([what, part["splits"]["report"]["n"], *cells])
    return lines


def scale(result: Result) -> list[list[Any]]:
    """Return the table of time and memory by the number of cubes."""
    head = ["cubes", "add p50 / p95, ms", "search p50 / p95, ms", "of it the query's embedding", "search after an add"]
    lines: list[list[Any]] = [[*head, "open, ms", "first search, ms", "RSS, MB", "index, MB", "file, MB"]]
    for row in result["sizes"]:
        times = [both(row["add"]), both(row["search"]), both(row["query_embedding"]), both(row["search_after_add"])]
        sizes = [f"{row['rss_mb']['at_end']:.0f}", f"{row['index_mb']:.0f}", f"{row['file_mb']:.0f}"]
        opening = [f"{row['open_ms']:.1f}", f"{row['first_search_ms']:.0f}"]
        lines.append([f"{row['cubes']:,}", *times, *opening, *sizes])
    return lines


def both(latency: Mapping[str, float] | None) -> str:
    """Return p50 and p95 in one cell."""
    return "–" if latency is None else f"{latency['p50_ms']:.1f} / {latency['p95_ms']:.1f}"


def startup(result: Result) -> list[list[Any]]:
    """Return the table of import time and idle memory."""
    i, p, m = result["import_ms"], result["process_ms"], result["memory"]
    return [
        ["what", "measured"],
        [f"`import mnemos`, least / median of {i['n']} processes", f"{i['min']:.0f} / {i['median']:.0f} ms"],
        ["a process that does nothing / that imports it, median", f"{p['python']:.0f} / {p['with_mnemos']:.0f} ms"],
        ["memory with an open space, before the first embed", f"{m['idle_mb']:.0f} MB"],
        ["memory after the first embed", f"{m['after_embed_mb']:.0f} MB"],
    ]


def peers(result: Result) -> list[list[Any]]:
    """Return the table of the side-by-side run."""
    lines: list[list[Any]] = [["system", "add p50 / p95, ms", "search p50 / p95, ms", "fraction@10", "hit@1", "n"]]
    for name, row in result["systems"].items():
        found = [f"{row['metrics'][metric]:.3f}" for metric in ("fraction@10", "hit@1")]
        lines.append([name, both(row["add"]), both(row["search"]), *found, row["metrics"]["n"]])
    return lines


def embed(result: Result) -> list[list[Any]]:
    """Return the table of the bundled model beside its full precision."""
    lines: list[list[Any]] = [
        ["model", "size, MB", "fraction@10", "n", "turns a second", "one question p50 / p95, ms", "mean / least cosine"]
    ]
    c = result["cosine"]
    for name, m in result["models"].items():
        cosine = "1" if name == "float32" else f"{c['mean']:.4f} / {c['min']:.4f}"
        figures = [f"{m['megabytes']:.1f}", f"{m['fraction@10']:.3f}", m["n"], f"{m['turns_per_second']:.0f}"]
        lines.append([name, *figures, both(m["question"]), cosine])
    return lines


def crash(result: Result) -> list[list[Any]]:
    """Return the table of the crash run."""
    names = ("kills", "acknowledged", "lost", "torn_batches", "unsound_checks")
    return [["what", "count"], *([name.replace("_", " "), f"{result[name]:,}"] for name in names)]


TABLES: dict[str, tuple[str, Callable[[Result], list[list[Any]]]]] = {
    "summary-locomo": ("text/locomo", summary),
    "summary-beam": ("text/beam", summary),
    "locomo-turn": ("text/locomo", quality("turn")),
    "locomo-turn-category": ("text/locomo", categories("turn")),
    "locomo-session": ("text/locomo", quality("session")),
    "locomo-session-category": ("text/locomo", categories("session")),
    "locomo-speed": ("text/locomo", speed),
    "beam": ("text/beam", quality("message")),
    "beam-category": ("text/beam", categories("message")),
    "beam-speed": ("text/beam", speed),
    "longmemeval": ("text/longmemeval", quality("session")),
    "scale": ("text/scale", scale),
    "startup": ("text/startup", startup),
    "peers": ("peers/locomo", peers),
    "crash": ("store/crash", crash),
    "embed": ("fit/embed", embed),
    **tables.TABLES,
}
