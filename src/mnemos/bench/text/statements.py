"""Statements of real people: `mnemos bench statements`. What must stay stays, what ends ends, nobody else decides.

Each item is a small memory: two to five things told, each with its time, a question, and which of them the question
should bring first. Several people ("hands") wrote the items, none of whom had seen a rule. Four kinds:

keep: nothing told contradicts the rest. Hidden or merged is an item of which a text has no memory of its own, is not
found by a search of its own words, is no longer current, or lost a fact.
end: a true change. The new statement should come first; the old one should be known as ended.
others: what others say later (an assistant's draft, a quoted mail, a web page) must end nothing of the user's.
repeat: one event on several days. A search of its day must bring it first, and so should the question alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.hands import Item, Options, items, told_to
from mnemos.cube import Hit, MemCube
from mnemos.registry import Entry
from mnemos.space import Space
from mnemos.system import Mnemos

KINDS = {  # what is measured of an item of each kind: True is good
    "keep": ("kept", "answer_first"),
    "end": ("newest_first", "ended"),
    "others": ("untouched", "answer_first"),
    "repeat": ("found_on_its_day", "answer_first"),
}


def table(result: Result) -> Rows:
    """Return the shares by hand, and over all hands."""
    lines: Rows = [["hand", "kind", "items", "measure", "share", "not"]]
    for hand, kinds in result["hands"].items():
        for kind, row in kinds.items():
            for name, share in row["shares"].items():
                lines.append([hand, kind, row["items"], name.replace("_", " "), percent(share), len(row["not"][name])])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of the updater."""
    if (entry.form, entry.name) != ("text", "reconcile"):
        return None
    rows = result["hands"]["all"]
    kept, ended = rows["keep"]["shares"]["kept"], rows["end"]["shares"]["newest_first"]
    return Figure(
        f"hides or merges {percent(1 - kept)} of what contradicts nothing; the newest is first for {percent(ended)}"
    )


@benchmark(
    "statements",
    help="What several people would tell a memory: is what holds kept, and what ended behind what is new?",
    options=Options,
    tables={"statements": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the shares by hand and kind, and under "not" the ids of the items that failed each measure."""
    hands = items("statements", options.data, "statements.jsonl", valid)
    progress.expect(sum(map(len, hands.values())))
    found: dict[str, dict[str, dict[str, dict[str, bool]]]] = {}  # by hand, kind and id
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
        for hand, rows in hands.items():
            now = [datetime(2000, 1, 1, tzinfo=UTC)]
            clock = partial(now.__getitem__, 0)
            with Mnemos(Path(root) / hand, embedder=options.embedder, clock=clock, timezone="UTC") as memory:
                for item in rows:
                    measured = measure(memory.space(item["id"]), item, now, options.k)
                    found.setdefault(hand, {}).setdefault(item["kind"], {})[item["id"]] = measured
                    progress(1)
    every: dict[str, dict[str, dict[str, bool]]] = {}
    for kinds in found.values():
        for kind, results in kinds.items():
            every.setdefault(kind, {}).update(results)
    return {"k": options.k, "hands": {hand: _shares(kinds) for hand, kinds in {**found, "all": every}.items()}}


def valid(item: Item) -> bool:
    """Tell whether an item is of a known kind and names its answer."""
    return bool(item["id"]) and item["kind"] in KINDS and 0 <= item["answer"] < len(item["told"])


def measure(space: Space, item: Item, now: list[datetime], k: int) -> dict[str, bool]:
    """Tell an empty space what an item tells, ask, and return whether each measure of its kind is met."""
    cubes = told_to(space, item["told"], now)
    hits = space.search(item["question"], k)
    answer = cubes[item["answer"]]
    first = bool(hits) and hits[0].cube.id == answer.id
    if item["kind"] == "keep":
        return {"kept": _kept(space, cubes, k), "answer_first": first}
    if item["kind"] == "end":
        return {"newest_first": first, "ended": not _current(space, cubes[item["old"]])}
    if item["kind"] == "others":
        return {"untouched": _current(space, answer), "answer_first": first}
    day = answer.at.replace(hour=0, minute=0, second=0, microsecond=0)
    that_day = space.search(item["question"], k, since=day, until=day + timedelta(days=1))
    own = len({c.id for c in cubes}) == len(cubes)
    return {"found_on_its_day": own and _first_of_day(that_day, answer), "answer_first": first}


def _first_of_day(hits: Sequence[Hit], answer: MemCube) -> bool:
    """Tell whether the first hit is the answer, or the same words on the same day."""
    return bool(hits) and answer.id in {hits[0].cube.id, *(c.id for c in hits[0].also)}


def _kept(space: Space, cubes: Sequence[MemCube], k: int) -> bool:
    if len({c.id for c in cubes}) < len(cubes) or not all(_current(space, c) for c in cubes):
        return False
    return all(any(c.id in _shown(hit) for hit in space.search(c.text, k)) for c in cubes)


def _shown(hit: Hit) -> set[str]:
    return {hit.cube.id, *(c.id for c in hit.also)}


def _current(space: Space, cube: MemCube) -> bool:
    """Tell whether a memory is in sight and nothing that it states has ended."""
    ended = {f.cube for f in space.facts(include_ended=True) if f.valid_to is not None}
    return space.get(cube.id).state == "active" and cube.id not in ended


def _shares(kinds: Mapping[str, Mapping[str, Mapping[str, bool]]]) -> dict[str, Any]:
    shares: dict[str, Any] = {}
    for kind, names in KINDS.items():
        if rows := kinds.get(kind):
            failed = {name: [i for i, row in rows.items() if not row[name]] for name in names}
            shares[kind] = {
                "items": len(rows), "shares": {n: round(1 - len(f) / len(rows), 4) for n, f in failed.items()},
                "not": failed,
            }  # fmt: skip
    return shares
