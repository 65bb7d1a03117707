"""The sets that all systems are measured on: where each lies in a folder of data, and which questions of it are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from mnemos.bench.text import (
    beam,
    conversations,
    factconsolidation,
    lifebench,
    locomo,
    locomo_plus,
    qmsum,
    realmem,
    timeline,
)
from mnemos.bench.text.facts import DAYS, START, WORLD, State, make
from mnemos.bench.text.synthetic_people import PEOPLE
from mnemos.bench.text.task import Haystack, Question, Task

WORLDS = 2  # of the generated set


@dataclass(frozen=True, slots=True)
class Set:
    """A set: where it lies, how it is read, and what the page calls it."""

    title: str
    where: str  # in the folder of data; "": it is generated
    load: Callable[[Path], Task]
    split: str = ""  # of the questions; "": all
    latest: bool = False  # whether the first hit has to be the value that holds


def facts(data: Path) -> Task:
    """Return years of several people whose facts change (see `mnemos.bench.text.facts`), asked at the end; `data` is unused.

    Gold are the statements of the value that holds.
    """
    haystacks = []
    for number in range(WORLDS):
        events = make(number, PEOPLE[number * WORLD : (number + 1) * WORLD], "test")
        messages = [
            {"id": str(i), "content": e.text, "speaker": e.speaker, "at": e.at, "session": f"{e.at:%Y-%m-%d}"}
            for i, e in enumerate(events)
        ]
        last: dict[tuple[str, str], State] = {e.state.key: e.state for e in events if e.state is not None}
        questions = []
        for state in last.values():
            gold = [
                str(i) for i, e in enumerate(events)
                if e.state is not None and (e.state.key, e.state.value) == (state.key, state.value)
            ]  # fmt: skip
            name, asked = "/".join(state.key), START + timedelta(days=DAYS)
            questions.append(Question(name, state.question(), {"statement": tuple(gold)}, "now", "report", asked))
        haystacks.append(Haystack(f"facts-{number}", messages, questions))
    return Task("facts", {"statement": "cubes"}, haystacks, {"generated": "mnemos.bench.text.facts", "worlds": WORLDS})


def timelines(data: Path) -> Task:
    """Return state questions over chat, tracker and commits (see `mnemos.bench.text.timeline`); `data` is unused."""
    return timeline.task()


def growth(data: Path) -> Task:
    """Return a hundred conversations of a user with questions of five classes (see `conversations`); `data` is unused."""
    task = conversations.task(seeds=WORLDS)
    answered = [replace(h, questions=[q for q in h.questions if q.gold["turn"]]) for h in task.haystacks]
    return replace(task, granularities={"turn": "cubes"}, haystacks=answered)


SETS = {
    "locomo": Set("LoCoMo, report half", "locomo10.json", locomo.load, "report"),
    "realmem": Set("RealMem, development part", "realmem", realmem.load, "development"),
    "lifebench": Set("LifeBench, English", "lifebench", lifebench.load, "en"),
    "beam": Set("BEAM 100K, report half", "beam_100k", beam.load, "report"),
    "qmsum": Set("QMSum", "qmsum/val.jsonl", qmsum.load),
    "locomo-plus": Set("LoCoMo-Plus", "locomo_plus/locomo_plus_even.json", locomo_plus.load),
    "factconsolidation": Set(
        "FactConsolidation", "factconsolidation/single_hop.json", factconsolidation.load, latest=True
    ),
    "facts": Set("Facts that change (generated)", "", facts, latest=True),
    "timelines": Set("State over chat and tickets (generated)", "", timelines, latest=True),
    "growth": Set("A hundred conversations (generated)", "", growth),
}


def load(name: str, data: Path | None, limit: int) -> Task | None:
    """Return the first `limit` haystacks of a set with the questions of its split; None where the data are not there."""
    found = SETS[name]
    if found.where and (data is None or not (data / found.where).exists()):
        return None
    task = found.load((data or Path()) / found.where)
    kept = [
        replace(h, questions=[q for q in h.questions if not found.split or q.split == found.split])
        for h in task.haystacks
    ]
    return replace(task, haystacks=[h for h in kept if h.questions][:limit])
