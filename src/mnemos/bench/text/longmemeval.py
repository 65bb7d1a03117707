"""LongMemEval (Wu et al., ICLR 2025, arXiv 2410.10813) by its official retrieval protocol, session granularity.

One index per question over its own haystack; a document is the user turns of one session, joined by a space. Gold are
the haystack sessions whose id contains "answer" and in which a user turn has `has_answer`. The 30 abstention
questions (`_abs`) are left out. The remaining 470 include 51 whose answer only the assistant gave: they
have no gold, and the official code counts them as found by recall_all and as missed by recall_any. Split
"strict" leaves them out (n = 419), as a fair figure must; "all" is the official 470.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import quality
from mnemos.bench.text.task import Haystack, Question, Task, checksum, existing
from mnemos.errors import InvalidInput

KEYS = ("question_id", "question_type", "question", "haystack_session_ids", "haystack_sessions", "haystack_dates")


def load(data: Path) -> Task:
    """Read a LongMemEval file: `longmemeval_s.json`, `_m` or `_oracle`, the original or the cleaned one.

    Raises InvalidInput that names the entry and the missing fields.
    """
    existing(data, "a LongMemEval file such as longmemeval_s.json")
    with data.open(encoding="utf-8") as file:
        entries = json.load(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput(f"{data.name}: expected a list of questions. Is this a LongMemEval file?")
    haystacks = [
        haystack(entry, f"{data.name}[{i}]")
        for i, entry in enumerate(entries)
        if "_abs" not in str(entry.get("question_id"))
    ]
    return Task("longmemeval", {"session": "cubes"}, haystacks, {"file": data.name, "sha256": checksum(data)})


def haystack(entry: Mapping[str, Any], where: str) -> Haystack:
    """Return one question with its haystack. A session without user turns makes no document."""
    if missing := [key for key in KEYS if key not in entry]:
        raise InvalidInput(f"{where}: {', '.join(missing)} missing. Is this a LongMemEval file?")
    messages = []
    for name, turns, date in sessions(entry):
        text = " ".join(turn["content"] for turn in turns if turn["role"] == "user")
        if text.strip():
            messages.append({"id": name, "content": text, "session": name, "role": "user", "at": moment(date)})
    found = gold(entry)
    question = Question(
        id=entry["question_id"],
        text=entry["question"],
        gold={"session": found},
        category=entry["question_type"],
        split="strict" if found else "no-gold",
        asked_at=moment(entry["question_date"]) if entry.get("question_date") else None,
    )
    return Haystack(entry["question_id"], messages, [question])


def gold(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the sessions named `…answer…` in which a user turn has the answer, in order, each once."""
    named = [
        name
        for name, turns, _ in sessions(entry)
        if "answer" in name and any(turn.get("has_answer") for turn in turns if turn["role"] == "user")
    ]
    return tuple(dict.fromkeys(named))


def sessions(entry: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[Mapping[str, Any]], str]]:
    """Yield (id, turns, date) of each haystack session; repeated ids get `#2`, `#3` …"""
    seen: dict[str, int] = {}
    columns = (entry["haystack_session_ids"], entry["haystack_sessions"], entry["haystack_dates"])
    for name, turns, date in zip(*columns, strict=True):
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}#{seen[name]}"), turns, date


def moment(text: str) -> datetime:
    """Read LongMemEval's dates, `2023/05/20 (Sat) 02:21`, as UTC. Raises InvalidInput."""
    try:
        day, *_, time = text.split()
        return datetime.strptime(f"{day} {time}", "%Y/%m/%d %H:%M").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput(f"date {text!r}: expected the form '2023/05/20 (Sat) 02:21'.") from error


@benchmark(
    "longmemeval",
    help="Recall of the answer sessions by LongMemEval's own protocol.",
    options=retrieval.Options,
    tables={"longmemeval": quality("session")},
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store the haystack of each question in its own space and ask it."""
    return retrieval.measure(load(options.data), options, progress)
