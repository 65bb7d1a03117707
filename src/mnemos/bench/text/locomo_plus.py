"""LoCoMo-Plus (xjtuleeyf/Locomo-Plus): a remark, months later, finds the dialogue that explains it.

All cue dialogues are in one space, a cube each. A trigger shares almost no word with its cue: it is bound to it by a
cause, a state, a goal or a value, which is its category. Rows with even numbers are for development, those with odd
numbers for the report; a file whose name ends in `_even` or `_odd` has only such rows.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum, read_json
from mnemos.errors import InvalidInput

FIRST = datetime(2024, 1, 1, tzinfo=UTC)  # the data say only how long after its cue a trigger comes
LATER = timedelta(days=180)  # from the last cue to the triggers
FIELDS = {"relation_type", "cue_dialogue", "trigger_query"}
SPEAKER = re.compile(r"^[A-Z]: ")  # "A: ", before a trigger


def load(data: Path) -> Task:
    """Read a list of cues and triggers, `locomo_plus.json`. Raises InvalidInput for another format."""
    rows = read_json(data, "locomo_plus.json, or its even or odd rows")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) and r.keys() >= FIELDS for r in rows):
        raise InvalidInput(f"{data} is not LoCoMo-Plus: expected a list of rows with {', '.join(sorted(FIELDS))}.")
    times = [FIRST + timedelta(hours=number) for number in range(len(rows))]
    messages: list[dict[str, Any]] = [
        {"id": str(number), "content": row["cue_dialogue"].replace("\\n", "\n"), "at": at}  # some newlines are escaped
        for number, (row, at) in enumerate(zip(rows, times, strict=True))
    ]
    questions = [
        Question(
            id=str(number),
            text=SPEAKER.sub("", row["trigger_query"]),
            gold={"cue": (str(number),)},
            category=row["relation_type"],
            split=split(data, number),
            asked_at=times[-1] + LATER,
        )
        for number, row in enumerate(rows)
    ]
    source = {"file": data.name, "sha256": checksum(data)}
    return Task("locomo-plus", {"cue": "cubes"}, [Haystack("locomo-plus", messages, questions)], source)


def split(data: Path, number: int) -> str:
    """Return the split of a row: that of the whole file, where its name tells, or that of the row's number."""
    if data.stem.endswith(("_even", "_odd")):
        return "development" if data.stem.endswith("_even") else "report"
    return "report" if number % 2 else "development"


@benchmark(
    "locomo-plus",
    help="Recall of a cue that has almost no word in common with what recalls it.",
    options=retrieval.Options,
    tables={
        "locomo-plus": quality("cue"),
        "locomo-plus-category": categories("cue"),
        "locomo-plus-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store all cues in one space and ask every trigger."""
    return retrieval.measure(load(options.data), options, progress)
