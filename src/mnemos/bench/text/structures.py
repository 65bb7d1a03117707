"""Which structure of memory suits which task, under which search? `mnemos bench structures`.

The grid of the paper, without a model: chunks (four texts together), triples (the facts that rules read), atomic facts (single
sentences), summaries (the two sentences of eight texts that say most), and all of them mixed; by a single search (BM25), a search
that is reranked (the fused signals of words), and an iterative one (`hops`: each next search looks for what is not said
yet). Multi-hop claims over generated facts, without other facts and with ten times as many; LoCoMo's development half, multi-hop
and single-hop; QMSum's meetings as reading.

A unit counts for the texts that it was made of, a summary for those whose sentences it has. Units are shown best first until
they have 150 words, the same for all: the measure is the share of the evidence among what is shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import hops, locomo, qmsum, retrieval
from mnemos.bench.text.task import Haystack
from mnemos.cube import utc_now
from mnemos.reason.rules import RuleReasoner
from mnemos.registry import Paper
from mnemos.system import Mnemos
from mnemos.text.base import Retriever, View
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.hops import Hops
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.query import make_query

PAPER = Paper("On the Structural Memory of LLM Agents", "2412.15266", code="zengrh3/StructuralMemory")
WORDS, CHUNK, SUMMED, SENTENCES = 150, 4, 8, 2
SEARCHES: dict[str, Retriever] = {"single": Bm25(), "rerank": Hybrid(), "iterative": Hops(stop=False)}
STRUCTURES = ("chunks", "triples", "atomic facts", "summaries", "mixed")
Unit = tuple[str, tuple[int, ...]]  # what is stored, and the texts that it is made of
Question = tuple[str, set[int]]  # what is asked, and the texts that answer it


@dataclass(frozen=True)
class Options:
    """The data, and the size of the generated part."""

    locomo: Path  # locomo10.json; it is not part of Mnemos
    qmsum: Path  # QMSum's val.jsonl; it is not part of Mnemos
    seed: int = 0  # seed of the generated facts
    claims: int = 15  # claims of each number of hops
    limit: int = 1  # conversations of LoCoMo, and meetings times five


def table(result: Result) -> Rows:
    """Return the share of the evidence that is shown, by task, structure and search."""
    rows: Rows = [["task", "questions", "search", *STRUCTURES]]
    for task, row in result["tasks"].items():
        for search in SEARCHES:
            rows.append([task, row["n"], search, *(f"{row['shown'][s][search]:.3f}" for s in STRUCTURES)])
    return rows


def summary_table(result: Result) -> Rows:
    """Return what holds over the tasks: the mean of each search, and what noise costs each structure."""
    rows: Rows = [["", *STRUCTURES]]
    tasks = result["tasks"]
    for search in SEARCHES:
        means = [np.mean([row["shown"][s][search] for row in tasks.values()]) for s in STRUCTURES]
        rows.append([f"mean of all tasks, {search}", *(f"{m:.3f}" for m in means)])
    clean, noisy = (tasks[f"multi-hop, {n} other facts"]["shown"] for n in result["noise"])
    for search in SEARCHES:
        kept = [noisy[s][search] / max(clean[s][search], 1e-9) for s in STRUCTURES]
        rows.append([f"kept under ten times the noise, {search}", *(f"{k:.2f}" for k in kept)])
    return rows


@benchmark(
    "structures",
    help="Chunks, triples, atomic facts, summaries and all mixed, under three kinds of search, by task.",
    options=Options,
    tables={"structures": table, "structures-summary": summary_table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Store every task in every structure and search it in every way."""
    facts, claims = hops.base_of_facts(options.seed, 0, options.claims)
    noise = (0, 10 * len(facts))
    conversations = retrieval.only_splits(locomo.load(options.locomo), ("development",))
    meetings = qmsum.load(options.qmsum)
    talks = conversations.haystacks[: options.limit]
    progress.expect(len(noise) + len(talks) + 1)
    tasks: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="none") as memory:
        for others in noise:
            facts, claims = hops.base_of_facts(options.seed, others, options.claims)
            place = {fact: i for i, fact in enumerate(facts)}
            asked = [(c.text, {place[f] for f in c.chain}) for c in claims if c.hops > 1]
            add(
                tasks,
                {f"multi-hop, {others} other facts": asked},
                search(memory, f"facts {others}", [(f, None) for f in facts], asked),
            )
            progress(1)
        for haystack in talks:
            by = {f"LoCoMo, {kind}": questions(haystack, "turn", kind) for kind in ("multi-hop", "single-hop")}
            every = [q for rows in by.values() for q in rows]
            add(tasks, by, search(memory, haystack.name, texts_of(haystack), every))
            progress(1)
        for haystack in meetings.haystacks[: 5 * options.limit]:
            asked = questions(haystack, "turn", None)
            add(tasks, {"QMSum": asked}, search(memory, haystack.name, texts_of(haystack), asked))
        progress(1)
    for row in tasks.values():
        row["shown"] = {
            s: {way: round(float(np.mean(v)), 4) for way, v in ways.items()} for s, ways in row["shown"].items()
        }
    return {"paper": PAPER.arxiv, "seed": options.seed, "words": WORDS, "noise": list(noise), "tasks": tasks,
            "sources": {"locomo": conversations.source, "qmsum": meetings.source}}  # fmt: skip


Found = dict[str, dict[str, list[float]]]  # by structure and search, for each question


def add(tasks: dict[str, dict[str, Any]], by: dict[str, list[Question]], found: Found) -> None:
    """Add what was found of the questions of some tasks, which were asked one task after the other."""
    start = 0
    for task, asked in by.items():
        row = tasks.setdefault(task, {"n": 0, "shown": {s: {way: [] for way in SEARCHES} for s in STRUCTURES}})
        row["n"] += len(asked)
        for structure, ways in found.items():
            for way, values in ways.items():
                row["shown"][structure][way] += values[start : start + len(asked)]
        start += len(asked)


def texts_of(haystack: Haystack) -> list[tuple[str, str | None]]:
    """Return the texts of a haystack with their speakers."""
    return [(m["content"], m.get("speaker")) for m in haystack.messages]


def questions(haystack: Haystack, granularity: str, kind: str | None) -> list[Question]:
    """Return the questions of a kind, or all, with the positions of their evidence."""
    place = {m["id"]: i for i, m in enumerate(haystack.messages)}
    rows = [(q.text, {place[i] for i in q.gold[granularity] if i in place}) for q in haystack.questions
            if kind in (None, q.category)]  # fmt: skip
    return [row for row in rows if row[1]]


def search(memory: Mnemos, name: str, texts: Sequence[tuple[str, str | None]], asked: Sequence[Question]) -> Found:
    """Return the share of the evidence shown for each question, by structure and search."""
    made: dict[str, list[Unit]] = {structure: make(texts) for structure, make in MAKERS.items()}
    made = {structure: [unit for unit in units if unit[0].strip()] for structure, units in made.items()}
    made["mixed"] = [unit for units in made.values() for unit in units]
    found: Found = {}
    for structure in STRUCTURES:
        units = made[structure] or [("nothing", ())]
        space = memory.space(f"{name} {structure}")
        space.add_many([{"content": text} for text, _ in units], reconcile=False)
        corpus = space.text.corpus()
        assert corpus is not None
        view = View(corpus, None, corpus.alive)
        found[structure] = {
            way: [shown(method, view, text, gold, units) for text, gold in asked] for way, method in SEARCHES.items()
        }
        space.close()
    return found


def shown(method: Retriever, view: View, text: str, gold: set[int], units: Sequence[Unit]) -> float:
    """Return the share of the evidence among the best units that have WORDS words together."""
    scores = method.rank(view, make_query(text, None, utc_now())).scores
    seen: set[int] = set()
    left = WORDS
    for i in np.argsort(-scores, kind="stable"):
        content, sources = units[int(i)]
        left -= len(content.split())
        if left < 0 or scores[i] <= 0:
            break
        seen.update(sources)
    return len(gold & seen) / len(gold)


def chunks(texts: Sequence[tuple[str, str | None]]) -> list[Unit]:
    """Return windows of four texts."""
    return [
        (" ".join(said(*t) for t in texts[i : i + CHUNK]), tuple(range(i, min(i + CHUNK, len(texts)))))
        for i in range(0, len(texts), CHUNK)
    ]


def triples(texts: Sequence[tuple[str, str | None]]) -> list[Unit]:
    """Return the facts that the rules read."""
    rules, now = RuleReasoner(), utc_now()
    return [
        (f"{fact.subject} {'not ' if fact.negated else ''}{fact.attribute} {fact.value}", (i,))
        for i, (text, speaker) in enumerate(texts)
        for fact in rules.facts(text, speaker, now)
    ]


def atomic(texts: Sequence[tuple[str, str | None]]) -> list[Unit]:
    """Return single sentences."""
    return [(said(sentence, speaker), (i,)) for i, (text, speaker) in enumerate(texts) for sentence in sentences(text)]


def summaries(texts: Sequence[tuple[str, str | None]]) -> list[Unit]:
    """Return what eight texts say most, which counts for those whose sentences it has."""
    rules, units = RuleReasoner(), []
    for start in range(0, len(texts), SUMMED):
        part = [text for text, _ in texts[start : start + SUMMED]]
        gist = rules.summarise(part, SENTENCES)
        units.append((gist, tuple(start + i for i, t in enumerate(part) if any(s in gist for s in sentences(t)))))
    return units


def sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    rough = text.replace("! ", "!\n").replace("? ", "?\n").replace(". ", ".\n").split("\n")
    return [part.strip() for part in rough if part.strip()]


def said(text: str, speaker: str | None) -> str:
    """Return a text with its speaker in front."""
    return f"{speaker}: {text}" if speaker else text


MAKERS: dict[str, Callable[[Sequence[tuple[str, str | None]]], list[Unit]]] = {
    "chunks": chunks, "triples": triples, "atomic facts": atomic, "summaries": summaries,
}  # fmt: skip
