"""The tables of the benchmarks of life, for the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mnemos.bench.kv import tables as kv_tables

Result = Mapping[str, Any]
Rows = list[list[Any]]


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.1f} %"


def facts(result: Result) -> Rows:
    """Return the share of questions whose first hit is right, by how often the value had changed."""
    test = result["splits"]["test"]
    shown = {
        "search": "mnemos", "append_only": "append only", "facts_table": "facts, asked by name",
        "search_as_of": "mnemos, as of an earlier moment",
        "as_of_as_then": "as of then, the same answer as then",
        "facts_table_as_of": "facts, as of an earlier moment",
    }  # fmt: skip
    lines: Rows = [["first hit right, test templates", "all", *map(str, range(1, 11)), "n"]]
    for key, name in shown.items():
        row = test[key]
        by = [percent(row["by_changes"][str(n)]) if str(n) in row["by_changes"] else "–" for n in range(1, 11)]
        lines.append([name, percent(row["all"]), *by, row["asked"]])
    return lines


def endings(result: Result) -> Rows:
    """Return what was ended although it holds, and not ended although it does not."""
    lines: Rows = [["templates", "statements", "ended although they hold", "not ended although they do not"]]
    for split, row in result["splits"].items():
        lines.append([split, row["statements"], row["falsely_ended"], row["not_ended"]])
    return lines


def stages(result: Result) -> Rows:
    """Return the scores of each stage, by the fault that was put in."""
    faults = result["faults"]
    names = list(next(iter(faults.values())))
    lines: Rows = [["fault", *(name.replace("_", " ") for name in names)]]
    return lines + [[fault, *(f"{row[name]:.3f}" for name in names)] for fault, row in faults.items()]


def order(result: Result) -> Rows:
    """Return the share of pairs put in the right order, by distance in turns."""
    rows = result["by_distance"]
    kinds = list(next(iter(rows.values())))
    return [["turns between", *kinds], *([d, *(percent(row[k]) for k in kinds)] for d, row in rows.items())]


def retention(kind: str) -> Callable[[Result], Rows]:
    """Return the table of one kind of stream: accuracy by law and budget."""

    def rows(result: Result) -> Rows:
        table = result["kinds"][kind]["accuracy"]
        budgets = list(next(iter(table.values())))
        best = sorted(table, key=lambda law: -table[law]["0.25"]["mean"])
        lines: Rows = [[f"law, {kind} stream", *(f"budget {percent(float(b))}" for b in budgets)]]
        for law in best:
            cells = [f"{100 * table[law][b]['mean']:.1f} ± {100 * table[law][b]['std']:.1f}" for b in budgets]
            lines.append([law, *cells])
        return lines

    return rows


def poison(result: Result) -> Rows:
    """Return what reaches the prompts, by defence."""
    names = ("undefended", "instructions", "consensus", "both", "second_undefended", "second_without_lessons")
    lines: Rows = [["hits given, poison among them", "questions with poison shown", "clean memories lost"]]
    for name in (*names, "second_with_lessons"):
        row = result[name]
        lines.append([name.replace("_", " "), percent(row["poisoned_shown"]), percent(row["benign_lost"])])
    return lines


def poison_space(result: Result) -> Rows:
    """Return what reaches the prompts of a real space."""
    row = result["space"]
    return [
        ["a real space, found and packed by `context`", "share"],
        ["poisoned memories that reach a prompt, undefended", percent(row["undefended"])],
        ["poisoned memories that reach a prompt, defended", percent(row["defended"])],
        ["clean memories about the question that are lost", percent(row["benign_lost"])],
    ]


def year(result: Result) -> Rows:
    """Return how the space grew, month by month."""
    names = ("day", "told", "searchable", "archived", "derived", "file_mb", "night_s")
    head = ["day", "turns told", "searchable", "archived", "derived", "file, MB", "that night, s"]
    return [head, *([f"{month[n]:,}" for n in names] for month in result["months"])]


def year_time(result: Result) -> Rows:
    """Return what the year took."""
    s, add = result["seconds"], result["add"]
    ratio = add["defaults"]["p50_ms"] / add["append"]["p50_ms"]
    return [
        ["what", "measured"],
        [f"{result['cubes']:,} turns, {result['days']} days: in all", f"{s['total']:.0f} s"],
        [
            "of it adding / asking / consolidating",
            f"{s['adding']:.0f} / {s['asking']:.0f} / {s['consolidating']:.0f} s",
        ],
        ["a night, p50 / p95", f"{result['night']['p50_ms']:.0f} / {result['night']['p95_ms']:.0f} ms"],
        ["a second run with nothing new", f"{result['second_run']['seconds']:.2f} s, nothing written"],
        ["searchable ~ told^p in the second half: p", f"{result['growth_exponent']:.2f}"],
        [
            "`add` p50, all defaults / plain append",
            f"{add['defaults']['p50_ms']:.1f} / {add['append']['p50_ms']:.1f} ms",
        ],
        ["ratio", f"{ratio:.2f}"],
    ]


def erasure(result: Result) -> Rows:
    """Return what was forgotten and what was found of it."""
    lines: Rows = [["what", "count"]]
    lines += [
        [name.replace("_", " "), f"{result[name]:,}"] for name in ("cases", "cubes_forgotten", "derived_forgotten")
    ]
    lines += [[f"remains: {name.replace('_', ' ')}", count] for name, count in result["remains"].items()]
    return [*lines, ["wrongly gone", result["wrongly_gone"]]]


def faults(result: Result) -> Rows:
    """Return what became of writes beside a model that fails."""
    add, waiting = result["add"], result["waiting"]
    return [
        ["what", "measured"],
        ["writes / lost", f"{result['writes']:,} / {result['lost']}"],
        ["calls / answered wrongly", f"{result['calls']:,} / {result['faults']:,} ({percent(result['fault_share'])})"],
        ["`add` p50 / p95 beside it", f"{add['p50_ms']:.1f} / {add['p95_ms']:.1f} ms"],
        ["cubes waiting: endpoint dead / after it came back", f"{waiting['dead']} / {waiting['healed']}"],
    ]


def tails(result: Result) -> Rows:
    """Return what each generation of summaries still mentions."""
    kept = result["kept"]
    kinds = list(next(iter(kept.values())))
    return [
        ["things still mentioned in", *kinds],
        *([name, *(percent(row[k]) for k in kinds)] for name, row in kept.items()),
    ]


def serve(result: Result) -> Rows:
    """Return what the server answers under load."""
    head = [
        f"{result['clients']} clients, {result['cubes']:,} cubes",
        "searches a second",
        "p50, ms",
        "p99, ms",
        "errors",
    ]
    return [head, *([n, f"{result[n]['per_second']:.0f}", f"{result[n]['p50_ms']:.0f}", f"{result[n]['p99_ms']:.0f}",
                     result[n]["errors"]] for n in ("new questions", "asked before"))]  # fmt: skip


def proxy(result: Result) -> Rows:
    """Return the time to the first token, direct and through the proxy."""
    lines: Rows = [["way", "first token p50 / p90, ms", "added p50, ms"]]
    for way, row in result["first token"].items():
        added = result["added_p50_ms"].get(way)
        lines.append([way, f"{row['p50_ms']:.1f} / {row['p90_ms']:.1f}", "–" if added is None else f"{added:.1f}"])
    return lines


def train_small(result: Result) -> Rows:
    """Return what the small models answer with a full cache, by the length of the context, and what training took."""
    lines: Rows = []
    for kind, row in result["kinds"].items():
        for length, scores in row["accuracy"].items():
            size = [f"{row['parameters']:,}", row["steps"], f"{row['cpu_seconds']:.0f}"]
            lines.append([kind, *size, length, *(percent(score) for score in scores.values())])
    names = (name.replace("-", " ") for name in scores)
    return [["model", "parameters", "steps", "processor time, s", "context", *names], *lines]


def serve_faults(result: Result) -> Rows:
    """Return what became of writes to a server that was killed."""
    lines: Rows = [[f"{result['clients']} clients, {result['spaces']} spaces, {result['seconds']:.0f} s", "count"]]
    shown = {
        "kills (SIGKILL) and restarts": "restarts", "memories acknowledged": "acknowledged",
        "requests sent again": "sent_again", "requests answered from what is kept": "replayed",
        "writes cut off, looked up by the client": "looked_up", "lost": "lost", "stored twice": "doubled",
        "stored, but not acknowledged": "unknown", "spaces in which `doctor` found something": "unsound_spaces",
    }  # fmt: skip
    return lines + [[what, f"{result[name]:,}"] for what, name in shown.items()]


def serve_soak(result: Result) -> Rows:
    """Return the memory of a server over many requests."""
    return [
        [
            f"{result['requests']:,} requests of {len(result['statuses'])} kinds, {result['clients']} clients",
            "measured",
        ],
        ["resident memory after the first tenth", f"{result['rss_warm_mb']:.0f} MB"],
        ["at its most / at the end", f"{result['rss_most_mb']:.0f} / {result['rss_end_mb']:.0f} MB"],
        ["slope after the first tenth, for 10,000 requests", f"{result['mb_per_10000']:.2f} MB"],
        ["slope in the second half, for 10,000 requests", f"{result['mb_per_10000_second_half']:.2f} MB"],
        ["answers 5xx", result["errors"]],
        ["answers with another status than the request calls for", sum(result["unexpected"].values())],
    ]


def serve_attack(result: Result) -> Rows:
    """Return how many attacks there were and what was let through."""
    lines: Rows = [[f"attacks on {result['routes']} routes", "count"]]
    lines += [[kind, f"{count:,}"] for kind, count in result["by_kind"].items()]
    return [*lines, ["all", f"{result['attacks']:,}"], ["let through", result["let_through"]],
            ["answers 5xx", result["server_errors"]], ["changes found afterwards", len(result["changed"])]]  # fmt: skip


def serve_schema(result: Result) -> Rows:
    """Return what requests made up from the OpenAPI document came to."""
    return [
        ["requests made up from the OpenAPI document", "count"],
        ["requests", f"{result['requests']:,}"],
        ["routes", result["routes"]],
        ["answers 5xx", sum(result["server_errors"].values())],
    ]


def page(result: Result) -> Rows:
    """Return how fast the page fills its views."""
    first = result["first view"]
    lines: Rows = [[f"{result['cubes']:,} memories, {result['browser']}", "filled after, ms", "longest task, ms"]]
    opened = f"first view, {len(first['openings'])} openings: median / slowest"
    lines.append([opened, f"{first['median_ms']} / {first['longest_ms']}", first["longest_task_ms"]])
    return lines + [[view, row["filled_ms"], row["longest_task_ms"]] for view, row in result["views"].items()]


TABLES: dict[str, tuple[str, Callable[[Result], Rows]]] = {
    "facts": ("text/facts", facts),
    "facts-endings": ("text/facts", endings),
    "stage-faults": ("text/stage-faults", stages),
    "temporal-order": ("text/temporal-order", order),
    "retention-stationary": ("text/retention", retention("stationary")),
    "retention-drifting": ("text/retention", retention("drifting")),
    "retention-bursty": ("text/retention", retention("bursty")),
    "poison": ("text/poison", poison),
    "poison-space": ("text/poison", poison_space),
    "endurance": ("text/endurance", year),
    "endurance-time": ("text/endurance", year_time),
    "erasure": ("text/erasure", erasure),
    "faults": ("text/faults", faults),
    "summary-loss": ("text/summary-loss", tails),
    "serve-load": ("serve/load", serve),
    "serve-faults": ("serve/faults", serve_faults),
    "serve-soak": ("serve/soak", serve_soak),
    "serve-attack": ("serve/attack", serve_attack),
    "serve-schema": ("serve/schema", serve_schema),
    "page-load": ("page/load", page),
    "serve-proxy": ("serve/proxy", proxy),
    "train-models": ("kv/train-models", train_small),
    **kv_tables.TABLES,
}
