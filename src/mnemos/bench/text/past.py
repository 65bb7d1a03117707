"""Questions about a past time: `mnemos bench past`. Is what was so then first, and not what is so now?

Each item is a history of one thing that changes, told over the years or later, and a question that names a past time: a
date, an age, or an event. People wrote the items ("hands"), one file of JSON lines each: `told` (text, at), `question`,
`asked_at`, and `answer`, the number of the text that was so then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.hands import Item, Options, items
from mnemos.space import SearchMethod, Space
from mnemos.system import Mnemos

METHODS: tuple[SearchMethod, ...] = ("hybrid", "words", "vectors")


def table(result: Result) -> Rows:
    """Return the shares by hand and method."""
    lines: Rows = [["hand", "items", "method", "first", "found", "not first"]]
    for hand, methods in result["hands"].items():
        for method, row in methods.items():
            shares = [percent(row[name]) for name in ("first", "found")]
            lines.append([hand, row["items"], method, *shares, len(row["not"])])
    return lines


@benchmark(
    "past",
    help="Questions about a past date, age or event: is what was so then first?",
    options=Options,
    tables={"past": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return by hand and method the share of questions whose answer is first, or found, and the ids of the others."""
    hands = items("past", options.data, "past.jsonl", valid)
    progress.expect(sum(map(len, hands.values())))
    found: dict[str, dict[str, dict[str, tuple[bool, bool]]]] = {}  # by hand, method and id
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        for hand, rows in hands.items():
            for number, item in enumerate(rows):
                measured = measure(memory.space(f"{hand}-{number}"), item, options.k)
                for method, answer in measured.items():
                    found.setdefault(hand, {}).setdefault(method, {})[item["id"]] = answer
                progress(1)
    return {"k": options.k, "hands": {hand: _shares(methods) for hand, methods in found.items()}}


def valid(item: Item) -> bool:
    """Tell whether an item has a question and names its answer."""
    return bool(item["id"] and item["question"] and item["asked_at"]) and 0 <= item["answer"] < len(item["told"])


def measure(space: Space, item: Item, k: int) -> dict[str, tuple[bool, bool]]:
    """Tell an empty space what an item tells, ask, and return by method whether the answer is first, and is found."""
    fields = ("speaker", "role", "session", "at")
    cubes = [space.add(t["text"], **{name: t[name] for name in fields if name in t}) for t in item["told"]]
    answer = cubes[item["answer"]].id
    results: dict[str, tuple[bool, bool]] = {}
    for method in METHODS:
        hits = [hit.cube.id for hit in space.search(item["question"], k, asked_at=item["asked_at"], method=method)]
        results[method] = hits[:1] == [answer], answer in hits
    return results


def _shares(methods: Mapping[str, Mapping[str, tuple[bool, bool]]]) -> dict[str, Any]:
    return {
        method: {
            "items": len(answers),
            "first": round(sum(first for first, _ in answers.values()) / len(answers), 4),
            "found": round(sum(found for _, found in answers.values()) / len(answers), 4),
            "not": [name for name, (first, _) in answers.items() if not first],
        }
        for method, answers in methods.items()
    }
