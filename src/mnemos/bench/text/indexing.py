"""What to index of a conversation, and by which keys: `mnemos bench indexing`, in LongMemEval's format.

After LongMemEval (arXiv 2410.10813), whose findings are: index rounds rather than sessions, expand the keys with the
facts that a round states (what is returned stays the round), and derive a range of time from the question. Measured on
`longmemeval_made.py`, or with `data` on a file of its own: the share of the evidence sessions among the first five, by
the type of the question. A round is a user's turn and the answer to it; a session ranks by its best round. Questions that
nothing answers (`_abs`) are asked for silence: the share of which `Hits.answerable` is False, beside that of the others.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import metrics
from mnemos.bench.text.conversations import USER
from mnemos.bench.text.facts import cached
from mnemos.bench.text.longmemeval import moment, sessions
from mnemos.bench.text.longmemeval_made import entries
from mnemos.bench.text.task import read_json
from mnemos.embed import Embedder
from mnemos.reason.dates import query_range
from mnemos.reason.rules import RuleReasoner
from mnemos.space import SearchMethod, Space
from mnemos.system import Mnemos
from mnemos.text.recall.filters import Filters

Keys = Literal["sessions", "rounds", "rounds and facts"]
KEYS: tuple[Keys, ...] = ("sessions", "rounds", "rounds and facts")
METHODS: tuple[SearchMethod, ...] = ("words", "vectors", "hybrid")
K = 5
DEPTH = 60  # rounds that are ranked, so that five sessions are among them


@dataclass(frozen=True)
class Options:
    """The histories."""

    users: int = 4  # generated users
    sessions: int = 40  # sessions of each
    each: int = 3  # questions of each kind
    seed: int = 0  # seed of the histories
    data: Path | None = None  # a LongMemEval file, in place of the generated ones
    limit: int | None = None  # use only the first N questions of the file
    methods: tuple[SearchMethod, ...] = METHODS  # how the keys are searched
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return recall by type of question, for every method, key and filter."""
    rows = result["recall"]
    kinds = list(next(iter(rows.values())))
    lines: Rows = [["keys", "method", *kinds]]
    for name, row in rows.items():
        keys, _, method = name.partition("; ")
        lines.append([keys, method, *(f"{row[kind]:.3f}" if kind in row else "–" for kind in kinds)])
    return lines


def silence(result: Result) -> Rows:
    """Return how often a search says that nothing answers, where nothing does and where something does."""
    lines: Rows = [["keys", "silent where nothing answers", "silent where something does"]]
    for keys, row in result["silent"].items():
        lines.append([keys, percent(row["absent"]), percent(row["there"])])
    return lines


@benchmark(
    "indexing",
    help="Sessions, rounds, or rounds and their facts as keys, with and without a range of time, by LongMemEval's types.",
    options=Options,
    tables={"indexing": table, "indexing-silence": silence},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return recall@5 of the evidence sessions by key, method and type, and how often a search is silent."""
    if options.data is not None:
        read: list[dict[str, Any]] = read_json(options.data, "a LongMemEval file")[: options.limit]
    else:
        read = json.loads(json.dumps(entries(options.users, options.sessions, options.each, options.seed)))
    embedder = cached(options.embedder)
    progress.expect(len(read) * len(KEYS))
    found: dict[str, list[tuple[str, float]]] = {}
    silent: dict[str, dict[bool, list[bool]]] = {keys: {True: [], False: []} for keys in KEYS}
    for _, alike in groupby(read, key=lambda e: json.dumps([e["haystack_dates"], e["question_id"].split("/")[:2]])):
        questions = list(alike)
        for keys in KEYS:
            measure(questions, keys, options.methods, embedder, found, silent[keys])
            progress(len(questions))
    shares = {keys: {"absent": _mean(rows[True]), "there": _mean(rows[False])} for keys, rows in silent.items()}
    source = options.data.name if options.data else "generated"
    recall = {name: _by_kind(rows) for name, rows in found.items()}
    return {"entries": len(read), "source": source, "k": K, "recall": recall, "silent": shares}


def measure(
    questions: Sequence[Mapping[str, Any]],
    keys: Keys,
    methods: Sequence[SearchMethod],
    embedder: Embedder | str,
    found: dict[str, list[tuple[str, float]]],
    silent: dict[bool, list[bool]],
) -> None:
    """Index the history that questions share by one kind of key, ask all, and add what each method found."""
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, timezone="UTC") as memory,
    ):
        space = memory.space(USER)  # whose history it is
        space.add_many(documents(questions[0], keys), reconcile=False)
        for entry in questions:
            ask(space, entry, keys, methods, found, silent)


def ask(
    space: Space,
    entry: Mapping[str, Any],
    keys: Keys,
    methods: Sequence[SearchMethod],
    found: dict[str, list[tuple[str, float]]],
    silent: dict[bool, list[bool]],
) -> None:
    """Ask one question by every method, with and without its range of time, and add what was found."""
    asked_at = moment(entry["question_date"])
    absent = "_abs" in entry["question_id"]
    gold = {
        str(i) for i, (name, *_) in enumerate(sessions(entry)) if name.partition("#")[0] in entry["answer_session_ids"]
    }
    span = query_range(entry["question"], asked_at)
    for method in methods:
        for in_time in (False, True):
            filters = Filters(since=span[0], until=span[1]) if in_time and span else Filters()
            hits = space.search(entry["question"], DEPTH, asked_at=asked_at, method=method, **filters)
            if method == "hybrid" and not in_time:
                silent[absent].append(not hits.answerable)
            ranking = list(dict.fromkeys(hit.cube.session or "" for hit in hits))
            name = f"{keys}; {method}{', in the range of time' if in_time else ''}"
            if not absent:
                found.setdefault(name, []).append((entry["question_type"], metrics.fraction(ranking, gold, K)))


def documents(entry: Mapping[str, Any], keys: Keys) -> list[dict[str, Any]]:
    """Return what is indexed of a history: one document a session, or one a round; the session is its number."""
    made = []
    for number, (_, turns, date) in enumerate(sessions(entry)):
        at = moment(date)
        texts = [_session(turns)] if keys == "sessions" else [_round(pair) for pair in _rounds(turns)]
        for place, text in enumerate(texts):
            key = f"{text}\n{stated(text, at)}".strip() if keys == "rounds and facts" else text
            made.append({"id": f"{number}/{place}", "content": key, "session": str(number), "at": at})
    return [each for each in made if str(each["content"]).strip()]


def stated(text: str, at: datetime) -> str:
    """Return the facts that the rules read in a text, one a line."""
    return "\n".join(f"{f.subject}: {f.attribute}: {f.value}" for f in RuleReasoner().facts(text, "user", at))


def _session(turns: Iterable[Mapping[str, Any]]) -> str:
    return " ".join(turn["content"] for turn in turns)


def _round(pair: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(turn["content"] for turn in pair)


def _rounds(turns: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return turns in groups that each begin with a user's turn."""
    groups: list[list[Mapping[str, Any]]] = []
    for turn in turns:
        if turn["role"] == "user" or not groups:
            groups.append([])
        groups[-1].append(turn)
    return groups


def _mean(values: Sequence[bool]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def _by_kind(rows: Sequence[tuple[str, float]]) -> dict[str, float]:
    kinds = {kind: [value for k, value in rows if k == kind] for kind in sorted({k for k, _ in rows})}
    return {kind: round(sum(v) / len(v), 4) for kind, v in (kinds | {"all": [value for _, value in rows]}).items()}
