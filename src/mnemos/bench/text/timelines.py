"""State questions over chat, tracker and commits: `mnemos bench timelines`.

After MEMTRACK (arXiv 2510.01353), with the generated team of `timeline.py`. An agent asks a chain of questions about a
ticket. Scored are correctness (by kind of question), efficiency (passages and tokens that it reads) and redundancy (the
share of what it reads that it has read in the chain before).

"append" memories keep every message; the reader takes the newest value that a passage about the ticket names, so it
has to read all k. "state" keeps each field of a ticket as one cube, of which a change by the tracker is the next
version: search shows the value that holds, `as_of` the one that held, so the reader stops at the first that answers.
"tracker only" shows what the source alone gives: the same filter on messages that are only appended. A past moment is
given as a filter and left out of the question, but for "dated question", where the words of the question have it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.arms import METHODS, passage, tokens
from mnemos.bench.text.reader import Passage, ScriptedReader, concerns, mentioned, right
from mnemos.bench.text.task import Expected, Question
from mnemos.bench.text.timeline import DAYS, START, Asked, Event, chains, message, question, timeline
from mnemos.cube import Hits
from mnemos.space import Space
from mnemos.system import Mnemos

DATED = "append, mnemos, dated question"
ARMS = (
    "nothing", "append, words", "append, vectors", "append, mnemos", DATED, "append, tracker only", "state", "oracle",
)  # fmt: skip
KINDS = ("current", "superseded", "conflict", "past")
END = START + timedelta(days=DAYS + 30)


@dataclass(frozen=True)
class Options:
    """The team, and what a search shows."""

    tickets: int = 20  # tickets, each asked about in a chain of four or five questions
    noise: int = 10  # messages for each ticket that are about something else
    k: int = 5  # passages that a search shows
    seeds: int = 3  # teams
    arms: tuple[str, ...] = ARMS  # memories to compare
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return correctness, efficiency and redundancy by arm."""
    lines: Rows = [["memory", *KINDS, "all", "passages a question", "tokens a question", "read again"]]
    for arm, row in result["arms"].items():
        cells = [percent(row["correct"].get(kind, 0.0)) for kind in (*KINDS, "all")]
        lines.append([arm, *cells, f"{row['passages']:.1f}", f"{row['tokens']:.0f}", percent(row["redundancy"])])
    return lines


@benchmark(
    "timelines",
    help="State questions over chat, tickets and commits: correct, by how many passages, and how many twice?",
    options=Options,
    tables={"timelines": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the figures of every arm over all teams."""
    progress.expect(options.seeds * len(options.arms))
    reads: dict[str, list[Read]] = {arm: [] for arm in options.arms}
    messages = 0
    for seed in range(options.seeds):
        events = timeline(options.tickets, options.noise, seed)
        messages += len(events)
        for kept in ("append", "state"):
            with stored(events, kept == "state", options.embedder) as space:
                for arm in (a for a in options.arms if (a == "state") == (kept == "state")):
                    for chain in chains(events):
                        reads[arm] += follow(space, events, chain, arm, options.k)
                    progress(1)
    arms = {arm: figures(found) for arm, found in reads.items()}
    return {"seeds": options.seeds, "tickets": options.tickets, "messages": messages, "k": options.k, "arms": arms}


@contextmanager
def stored(events: Sequence[Event], state: bool, embedder: str) -> Iterator[Space]:
    """Tell a space the timeline, each message at its time; with `state` the tracker's changes become versions."""
    now = [START]
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, clock=lambda: now[0], timezone="UTC") as memory,
    ):
        space = memory.space("team")
        if not state:
            space.add_many([message(event) for event in events])
        for event in events if state else ():
            now[0] = max(now[0] + timedelta(seconds=1), event.at)
            cube = f"{event.ticket}/{event.field}"
            if not event.field:
                space.add_many([message(event)])
            elif "was created" in event.text:
                space.add_many([message(event) | {"id": cube}])
            else:
                space.update(cube, content=event.text, at=event.at)
        now[0] = END
        yield space


@dataclass(frozen=True, slots=True)
class Read:
    """What the agent read for one question."""

    kind: str
    correct: bool
    passages: int
    tokens: int
    again: int


def follow(space: Space, events: Sequence[Event], chain: Sequence[Asked], arm: str, k: int) -> list[Read]:
    """Ask the questions of a chain, one after the other, and return what was read."""
    known: set[tuple[str, str]] = set()
    reads = []
    for asked in chain:
        wanted = question(asked, "", END)
        expected = wanted.expected or Expected()
        shown = show(space, events, asked, wanted, arm, k)
        if arm == "state":
            shown = until_answered(shown, expected)
        again = sum((p.id, p.text) in known for p in shown)
        known |= {(p.id, p.text) for p in shown}
        answer = ScriptedReader(newest=arm != "state").answer(wanted, shown)
        reads.append(Read(asked.kind, right(answer, expected), len(shown), tokens(shown), again))
    return reads


def show(space: Space, events: Sequence[Event], asked: Asked, wanted: Question, arm: str, k: int) -> list[Passage]:
    """Return what an arm shows. A past moment is given as `until`, or as `as_of`, or in the words of the question."""
    kept, _, how = arm.partition(", ")
    if kept == "nothing":
        return []
    if kept == "oracle":
        return [Passage(e.id, e.text, e.at, e.speaker) for e in events if e.id == asked.evidence]
    source = "tracker" if kept == "state" or how == "tracker only" else None
    hits: Hits
    if kept == "state":
        hits = space.search(asked.text(dated=False), k, asked_at=END, source=source, as_of=asked.moment)
    elif arm == DATED:
        hits = space.search(wanted.text, k, asked_at=END)
    else:
        method = METHODS.get(how, "hybrid")
        text = asked.text(dated=False)
        hits = space.search(text, k, asked_at=END, source=source, until=asked.moment, method=method)
    return [passage(cube) for hit in hits for cube in (hit.cube, *hit.also)][:k]


def until_answered(shown: Sequence[Passage], expected: Expected) -> list[Passage]:
    """Return the passages up to the first that answers."""
    for number, each in enumerate(shown):
        if concerns(each, expected) and mentioned(each.text, expected.choices):
            return list(shown[: number + 1])
    return list(shown)


def figures(reads: Sequence[Read]) -> dict[str, Any]:
    """Return correctness by kind, and the means of what was read."""
    kinds = {kind: [r.correct for r in reads if r.kind == kind] for kind in KINDS} | {"all": [r.correct for r in reads]}
    read = sum(r.passages for r in reads)
    return {
        "n": {kind: len(found) for kind, found in kinds.items()},
        "correct": {kind: round(sum(found) / len(found), 4) for kind, found in kinds.items() if found},
        "passages": round(read / len(reads), 3),
        "tokens": round(sum(r.tokens for r in reads) / len(reads), 1),
        "redundancy": round(sum(r.again for r in reads) / max(read, 1), 4),
    }
