"""Associations: a remark finds what was told before and bears on it, though they have hardly a word in common.

The data are JSON lines that people wrote: {"id", "cue", "trigger", "relation"}. The cues of a file are in one space; each
trigger is asked, and its cue is gold. The relation is the category: a cause of the remark, a state that bears on it, a
goal that it serves or endangers, a value that it agrees with or not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.hands import Item, read
from mnemos.bench.text.retrieval_tables import categories, quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum

FIRST = datetime(2024, 1, 1, tzinfo=UTC)  # cues have no time: a day apart
LATER = timedelta(days=180)  # from the last cue to the triggers


def load(options: retrieval.Options) -> Task:
    """Read the items, a haystack for each hand. Raises InvalidInput for another format."""
    hands = read(options.data, "associations.jsonl", is_item)
    haystacks = [haystack(name, items) for name, items in hands.items()]
    source = {"file": options.data.name, "sha256": checksum(options.data)}
    return Task("associations", {"cue": "cubes"}, haystacks, source)


def haystack(name: str, items: list[Item]) -> Haystack:
    """Return the cues of one hand as messages, and its triggers as questions."""
    messages: list[dict[str, Any]] = [
        {"id": item["id"], "content": item["cue"], "at": FIRST + timedelta(days=number)}
        for number, item in enumerate(items)
    ]
    asked = FIRST + timedelta(days=len(items)) + LATER
    questions = [
        Question(item["id"], item["trigger"], {"cue": (item["id"],)}, item["relation"], name, asked) for item in items
    ]
    return Haystack(name, messages, questions)


def is_item(item: Item) -> bool:
    """Tell whether an item has what the benchmark needs."""
    return all(isinstance(item[key], str) and item[key] for key in ("id", "cue", "trigger", "relation"))


@benchmark(
    "associations",
    help="Recall of what bears on a remark: its cause, a state, a goal, a value, without a common word.",
    options=retrieval.Options,
    tables={
        "associations": quality("cue"),
        "associations-category": categories("cue"),
        "associations-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store the cues of each hand in a space of their own and ask every trigger."""
    return retrieval.measure(load(options), options, progress)
