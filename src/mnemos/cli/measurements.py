"""What the last result files say of each method, in a sentence: a figure beside its baselines', and the command.

There is one function a benchmark. A method that a benchmark lists by its own name needs nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mnemos.registry import Entry

Result = dict[str, Any]
STREAMS = ("stationary", "drifting", "bursty")
SHARE = "0.25"  # of a full cache, or of all memories: the share at which methods are compared


class Figure(NamedTuple):
    """What a result file says of a method, and the figures of what it is compared with."""

    text: str
    others: dict[str, str]


class Measurements:
    """The result files of a folder and its subfolders, by the name of the benchmark."""

    def __init__(self, folder: Path) -> None:
        self.results: dict[str, Result] = {}
        for path in sorted(folder.rglob("*.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(result, dict) and "benchmark" in result:
                self.results[result["benchmark"]] = result

    def sentences(self, entry: Entry) -> list[str]:
        """Return a sentence for each result that has the method."""
        found = []
        for benchmark, read in READERS.items():
            result = self.results.get(benchmark)
            if result is not None and (figure := read(result, entry)) is not None:
                parts = [figure.text, *(f"{name} {value}" for name, value in figure.others.items())]
                found.append(f"{'; '.join(parts)} (`{result['command']}`)")
        return found

    def sentence(self, entry: Entry) -> str:
        """Return what was measured, or that nothing was, and why."""
        return ". ".join(self.sentences(entry)) or f"not measured: {entry.unmeasured or 'no result file has it'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _cache(result: Result, entry: Entry) -> Figure | None:
    rows = result["methods"]
    if entry.form != "activation" or entry.name not in rows:
        return None
    task = rows[entry.name]["task"]
    cells = rows[entry.name]["tasks"].get(task, {})
    share = next((s for s in (SHARE, "0.5", "1.0") if s in cells), None)
    if share is None:
        return None
    others = {b: rows[b]["tasks"][task].get(share) for b in rows[entry.name]["baselines"] if b in rows}
    text = f"answers {_percent(cells[share]['accuracy'])} of `{task}` with {_percent(float(share))} of a full cache"
    return Figure(text, {name: _percent(cell["accuracy"]) for name, cell in others.items() if cell})


def _law(result: Result, entry: Entry) -> Figure | None:
    accuracy = [result["kinds"][stream]["accuracy"] for stream in STREAMS]
    if (entry.form, entry.operation) != ("text", "forget") or entry.name not in accuracy[0]:
        return None

    def cells(name: str) -> str:
        return " / ".join(f"{100 * rows[name][SHARE]['mean']:.0f}" for rows in accuracy) + " %"

    text = (
        f"still has the answer to {cells(entry.name)} of the questions of a {' / '.join(STREAMS)} year, "
        f"with room for {_percent(float(SHARE))} of the memories"
    )
    return Figure(text, {name: cells(name) for name in entry.baselines or ("lru", "random") if name != entry.name})


def _long(result: Result, entry: Entry) -> Figure | None:
    names = {name.removesuffix(" (ours)").replace(" ", "-"): name for name in result["key-value"]}
    if entry.form != "activation" or entry.name not in names:
        return None

    def cell(name: str) -> str:
        return _percent(result["key-value"][name]["1024"])

    times = round(1024 / result["trained"])
    text = f"answers {cell(names[entry.name])} of `key-value` in texts {times} times as long as those of the training"
    return Figure(text, {name: cell(name) for name in ("window", "full attention")})


def _diffusion(result: Result, entry: Entry) -> Figure | None:
    rows = {name.partition(",")[0]: row for name, row in reversed(result["policies"].items())}
    if entry.form != "activation" or entry.name not in rows:
        return None
    row, none = rows[entry.name], result["policies"]["none"]
    computed = _percent(row["recomputed"] / none["recomputed"])
    text = f"answers {_percent(row['accuracy'])} and computes {computed} of the positions"
    return Figure(text, {"no cache": _percent(none["accuracy"])})


def _pages(result: Result, entry: Entry) -> Figure | None:
    waste, relay, chunked = result["waste"], result["relay"][-1], result["chunked"][-1]
    figures = {
        "paged-attention": Figure(
            f"wastes {_percent(waste['waste'])} of its memory",
            {"reserving the longest": _percent(waste["waste_reserved"])},
        ),
        "relay-attention": Figure(f"{relay['gain']:.1f} times as fast as {relay['requests']} copies of the prefix", {}),
        "chunked-attention": Figure(
            f"takes {chunked['times_less_memory']:.0f} times less memory at {chunked['n']:,} tokens", {}
        ),
    }
    return figures.get(entry.name) if entry.form == "activation" else None


def _schedule(result: Result, entry: Entry) -> Figure | None:
    if entry.form != "activation":
        return None
    if entry.name == "continuum":
        loads = [load["policies"] for load in result["leases"]]
        mean = {name: sum(load[name]["mean_s"] for load in loads) / len(loads) for name in ("continuum", "lru")}
        text = f"a job takes {mean['continuum']:.0f} s, mean of {len(loads)} loads"
        return Figure(text, {"lru": f"{mean['lru']:.0f} s"})
    name = entry.name.removesuffix("-prefixes").replace("-", " ")
    if name not in result["evictions"]["sizes"]:
        return None
    cells = {
        kind: {n: _percent(row["requests"]) for n, row in rows.items()} for kind, rows in result["evictions"].items()
    }
    found = ", ".join(f"{row[name]} ({kind})" for kind, row in cells.items())
    others = {"lru": ", ".join(row["lru"] for row in cells.values())} if name != "lru" else {}
    return Figure(f"finds the prefix of {found} of the requests", others)


def _search(result: Result, entry: Entry) -> Figure | None:
    systems = {
        "bm25": "bm25",
        "cosine": "vectors",
        "hybrid": "mnemos",
        "spread": "consolidated",
        "sessions": "mnemos",
    }
    if (entry.form, entry.operation) != ("text", "recall") or entry.name not in systems:
        return None
    unit = "session" if entry.name == "sessions" else next(iter(result["systems"]["mnemos"]))

    def cell(name: str) -> str:
        return _percent(result["systems"][systems[name]][unit]["splits"]["report"]["all@10"])

    text = f"finds all the evidence of {cell(entry.name)} of the questions of LoCoMo in the ten best {unit}s"
    return Figure(text, {name: cell(name) for name in ("bm25", "cosine") if name != entry.name})


def _facts(result: Result, entry: Entry) -> Figure | None:
    if entry.form != "text" or entry.name not in ("decide", "known"):
        return None
    test = result["splits"]["test"]
    text = f"the first hit is right for {_percent(test['search']['all'])} of the questions for what holds now"
    if entry.name == "decide":
        text += f"; {test['falsely_ended']} of {test['statements']} statements were wrongly ended"
    return Figure(text, {"append only": _percent(test["append_only"]["all"])})


def _reuse(result: Result, entry: Entry) -> Figure | None:
    if (entry.form, entry.name) != ("migrate", "activate"):
        return None
    faster = result["reuse"]["times_faster"]
    text = f"the first token comes {faster['ram']:.0f} times as fast as with a prefill, {faster['disk']:.0f} times from the disk"
    return Figure(text, {})


READERS: dict[str, Callable[[Result, Entry], Figure | None]] = {
    "kv": _cache,
    "kv-long": _long,
    "kv-diffusion": _diffusion,
    "kv-pages": _pages,
    "kv-schedule": _schedule,
    "kv-speed": _reuse,
    "retention": _law,
    "locomo": _search,
    "facts": _facts,
}
