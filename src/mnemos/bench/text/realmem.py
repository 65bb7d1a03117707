"""RealMem (AvatarMemory/RealMemBench): the past sessions of a project that a request in the middle of it needs.

One space per person: hundreds of sessions of projects that run for months and interleave. A query is a user's turn;
its gold is the sessions that the turn after it names. Only sessions before that of the query may be searched, in
the order of the file, which metadata `number` and a filter on it express. The published recall@10 is *all*: every
session of the gold is among the first ten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum, existing, read_json
from mnemos.errors import InvalidInput

DEVELOPMENT = ("Adeleke_Okonjo", "Ethan_Hunt", "Kenta_Tanaka", "Kim_Ji_young", "Liam_O_Connor")
SUFFIX = "_dialogues_256k.json"


def load(data: Path) -> Task:
    """Read the folder with a file per person, `NAME_dialogues_256k.json`. Raises InvalidInput when there is none."""
    existing(data, f"the folder with RealMem's *{SUFFIX}")
    files = sorted(data.glob(f"*{SUFFIX}"))
    if not files:
        raise InvalidInput(f"{data}: no *{SUFFIX} in it. Give the folder of RealMem's dialogues.")
    haystacks = [
        haystack(f.name.removesuffix(SUFFIX), read_json(f, "a dialogue of RealMem")["dialogues"]) for f in files
    ]
    return Task("realmem", {"session": "sessions"}, haystacks, {"file": data.name, "sha256": checksum(data)})


def haystack(person: str, sessions: Sequence[Mapping[str, Any]]) -> Haystack:
    """Return one person's turns, and the queries among them that need an earlier session."""
    messages, questions = [], []
    split = "development" if person in DEVELOPMENT else "report"
    before: set[str] = set()
    for number, session in enumerate(sessions):
        at = datetime.strptime(session["current_time"][:10], "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(hours=12)
        for place, turn in enumerate(session["dialogue_turns"]):
            if turn["content"].strip():
                messages.append(
                    {
                        "id": f"{number}.{place}", "content": turn["content"], "role": turn["speaker"].lower(),
                        "session": session["session_uuid"], "at": at + timedelta(seconds=place),
                        "metadata": {"number": number},
                    }
                )  # fmt: skip
        for turn, gold in queries(session["dialogue_turns"]):
            if earlier := tuple(name for name in gold if name in before):
                wanted, seen = {"session": earlier}, {"number": {"$lt": number}}
                name, kind = f"{person}/{turn['query_id']}", turn["category_name"]
                questions.append(Question(name, turn["content"], wanted, kind, split, at, {"where": seen}))
        before.add(session["session_uuid"])
    return Haystack(f"realmem-{person}", messages, questions)


def queries(turns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
    """Yield the turns that are queries, with the sessions that the turn after each names."""
    for turn, answer in pairwise(turns):
        if turn.get("is_query"):
            yield turn, tuple(dict.fromkeys(answer.get("memory_session_uuids") or ()))


@benchmark(
    "realmem",
    help="Recall of the past sessions that a request in a project of months needs.",
    options=retrieval.Options,
    tables={
        "realmem": quality("session"),
        "realmem-category": categories("session", "all@10"),
        "realmem-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store the sessions of each person in a space and ask the queries in them."""
    return retrieval.measure(load(options.data), options, progress)
