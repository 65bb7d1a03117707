"""What changes, and what is only said later: `mnemos bench changes`.

Each item is a small memory of two to five texts, each with its time, a question in the present tense, and the text that
should come first. Two kinds, written by people ("hands") who had seen no rule:

changed: something about the speaker changed, told in ever different words. The newest true statement should come first.
remark: the speaker states something; later comes a remark on the same theme that is no answer: of a sister, a question, a
wish, a film. The statement should stay first.

Beside the space as it is ("search") the same texts are searched with `reconcile=False` ("append only"), by words alone, by
vectors alone, and sorted by time alone: the newest of the hits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
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

KINDS = ("changed", "remark")
CONTESTANTS: dict[str, Callable[[Space, str, int], Sequence[Hit]]] = {
    "search": lambda space, question, k: space.search(question, k),
    "words": lambda space, question, k: space.search(question, k, method="words"),
    "vectors": lambda space, question, k: space.search(question, k, method="vectors"),
    "order of time": lambda space, question, k: sorted(
        space.search(question, k), key=lambda hit: hit.cube.at, reverse=True
    ),
}


def table(result: Result) -> Rows:
    """Return the share of items whose answer is the first hit, by hand, kind and contestant."""
    lines: Rows = [["hand", "kind", "items", "contestant", "answer first", "not"]]
    for hand, kinds in result["hands"].items():
        for kind, row in kinds.items():
            for name, share in row["first"].items():
                lines.append([hand, kind, row["items"], name, percent(share), len(row["not"][name])])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of the reranker."""
    if (entry.form, entry.name) != ("text", "promote-newest"):
        return None
    kinds = next(iter(result["hands"].values()))
    share = {kind: percent(row["first"]["search"]) for kind, row in kinds.items()}
    return Figure(
        f"the newest first for {share['changed']} of changes; a later remark stays behind for {share['remark']}"
    )


@benchmark(
    "changes",
    help="What changed in unseen words, and what was only remarked later: is what holds now the first hit?",
    options=Options,
    tables={"changes": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the shares by hand and kind, and under "not" the ids of the items of which another hit came first."""
    hands = items("changes", options.data, "changes.jsonl", valid)
    progress.expect(sum(map(len, hands.values())))
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
        for hand, rows in hands.items():
            now = [datetime(2000, 1, 1, tzinfo=UTC)]
            found: dict[str, dict[str, dict[str, bool]]] = {}  # by kind, id and contestant
            clock = partial(now.__getitem__, 0)
            with Mnemos(Path(root) / hand, embedder=options.embedder, clock=clock, timezone="UTC") as memory:
                for i, item in enumerate(rows):
                    spaces = memory.space(f"{i}-ours"), memory.space(f"{i}-append")
                    found.setdefault(item["kind"], {})[item["id"]] = measure(*spaces, item, now, options.k)
                    progress(1)
            result[hand] = {kind: _shares(found[kind]) for kind in KINDS if kind in found}
    return {"k": options.k, "hands": result}


def valid(item: Item) -> bool:
    """Tell whether an item is of a known kind and names its answer."""
    return bool(item["id"]) and item["kind"] in KINDS and 0 <= item["answer"] < len(item["told"])


def measure(ours: Space, append: Space, item: Item, now: list[datetime], k: int) -> dict[str, bool]:
    """Tell two empty spaces what an item tells, ask, and return by contestant whether the answer is the first hit."""
    question, at = item["question"], item["answer"]
    started = now[0]
    cubes = told_to(ours, item["told"], now)
    right = {name: _first(ask(ours, question, k), cubes[at]) for name, ask in CONTESTANTS.items()}
    now[0] = started
    cubes = told_to(append, item["told"], now, reconcile=False)
    return {**right, "append only": _first(append.search(question, k), cubes[at])}


def _first(hits: Sequence[Hit], answer: MemCube) -> bool:
    return bool(hits) and hits[0].cube.id == answer.id


def _shares(rows: Mapping[str, Mapping[str, bool]]) -> dict[str, Any]:
    names = next(iter(rows.values()))
    failed = {name: [i for i, row in rows.items() if not row[name]] for name in names}
    first = {name: round(1 - len(f) / len(rows), 4) for name, f in failed.items()}
    return {"items": len(rows), "first": first, "not": failed}
