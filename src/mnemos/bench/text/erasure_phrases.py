"""Forgetting by phrase: `mnemos bench erasure-phrases`. What says the phrase goes, and nothing else does.

Each item is a few memories, a phrase to forget, and which of them say it. Several people ("hands") wrote them without
having seen a rule: names, addresses, numbers, signs and common words in eight scripts, beside others that are near.
"""

from __future__ import annotations

import tempfile
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.hands import Item, items
from mnemos.errors import NotFound
from mnemos.space import Space
from mnemos.system import Mnemos

NAME = "erasure-phrases"
COUNTS = ("items", "memories", "to_go", "strangers_erased", "missed", "unproven")
SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}


@dataclass(frozen=True)
class Options:
    """The items."""

    data: str = ""  # file or folder of JSON lines instead of those of the package, one file a hand
    embedder: str = "none"  # the choice asks no vector


def table(result: Result) -> Rows:
    """Return the counts by script."""
    lines: Rows = [["script", *(name.replace("_", " ") for name in COUNTS)]]
    return lines + [[script, *(row[name] for name in COUNTS)] for script, row in result["scripts"].items()]


def problem(result: Result) -> str | None:
    """Return what went wrong, if anything did."""
    wrong = {name.replace("_", " "): ", ".join(ids) for name, ids in result["failed"].items() if ids}
    return "; ".join(f"{name}: {ids}" for name, ids in wrong.items()) or None


@benchmark(
    "erasure-phrases",
    help="Forget by a phrase, in eight scripts: are strangers erased, or is what says it missed?",
    options=Options,
    tables={NAME: table},
    problem=problem,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return counts by script and by hand, and the ids of the items that failed.

    Each item has a space of its own. A memory that does not say the phrase and is gone is a stranger erased; one that says
    it and is still there is missed; an erasure is unproven when its check finds remains or its preview differs.
    """
    hands = items(NAME, options.data, "erase.jsonl", valid)
    progress.expect(sum(map(len, hands.values())))
    scripts: dict[str, Counter[str]] = {}
    by_hand: dict[str, Counter[str]] = {}
    failed: dict[str, list[str]] = {"strangers_erased": [], "missed": [], "unproven": []}
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        for hand, rows in hands.items():
            for item in rows:
                counts = measure(memory.space(f"{hand} {item['id']}"), item)
                for group in (scripts.setdefault(script(item), Counter()), by_hand.setdefault(hand, Counter())):
                    group += counts
                for name, ids in failed.items():
                    ids += [f"{hand} {item['id']}"] * bool(counts[name])
                progress(1)
    counted = {name: scripts[name] for name in sorted(scripts)} | {"all": sum(scripts.values(), Counter())}
    return {
        "scripts": {name: {key: row[key] for key in COUNTS} for name, row in counted.items()},
        "hands": {name: {key: row[key] for key in COUNTS} for name, row in by_hand.items()},
        "failed": failed,
    }


def measure(space: Space, item: Item) -> Counter[str]:
    """Tell an empty space the memories of an item, forget its phrase, and count what went wrong."""
    cubes = [space.add(text) for text in item["cubes"]]
    shown = {cube.id for cube in space.forget_preview(query=item["forget"])}
    try:
        receipt = space.forget(query=item["forget"])
        proven = receipt.verified and set(receipt.ids) == shown
    except NotFound:
        proven = not shown
    left = space.store.get([cube.id for cube in cubes])
    gone = {i for i, cube in enumerate(cubes) if cube.id not in left}
    wanted = set(item["gone"])
    return Counter(
        items=1, memories=len(cubes), to_go=len(wanted), strangers_erased=len(gone - wanted), missed=len(wanted - gone),
        unproven=int(not proven),
    )  # fmt: skip


def script(item: Item) -> str:
    """Return the script of the phrase; Han is Japanese when kana are beside it."""
    texts = "".join([item["forget"], *item["cubes"]])
    for c in unicodedata.normalize("NFKC", item["forget"]):
        name = unicodedata.name(c, "").split()[0] if c.isalpha() else ""
        if name == "CJK" and any(unicodedata.name(c, "").startswith(("HIRAGANA", "KATAKANA")) for c in texts):
            return "Japanese"
        if name:
            return SCRIPTS.get(name, name.capitalize())
    return "digits and signs"


def valid(item: Item) -> bool:
    """Tell whether an item says of each memory whether it goes or stays."""
    places = {*item["gone"], *item["kept"]}
    return bool(item["id"] and item["forget"]) and places == set(range(len(item["cubes"])))
