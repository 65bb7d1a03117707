"""Evidence over one to three hops, and when to stop looking: `mnemos bench hops`.

A synthetic base of facts: who is married to whom, who works where, which company is based in which town, with given names and
surnames that several people share; without and with other facts about the same people and places. A claim names the first
and the last entity of a chain and its relations, never those between. At equal reads: are all facts of the chain among the
first five? And: how well is the set at which a rule stops the set of the chain (F1)? Rules with a number, a fixed number of
hops or a threshold of what the next text adds, get the best number in hindsight.

With LoCoMo's development half: its multi-hop questions, which were written without such chains in mind.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text import locomo, metrics, retrieval
from mnemos.bench.text.task import Haystack
from mnemos.cube import utc_now
from mnemos.registry import Entry
from mnemos.system import Mnemos
from mnemos.text.base import Retriever, View
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.hops import Hops
from mnemos.text.recall.query import make_query
from mnemos.text.system import DEFAULT

READS = 5
PEOPLE, COMPANIES, TOWNS = 300, 80, 30
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
HABITS = ("plays chess with", "went to school with", "once met", "lent a bicycle to", "sings in a choir with")


@dataclass(frozen=True)
class Options:
    """The data, and the size of the synthetic part."""

    data: Path  # locomo10.json; it is not part of Mnemos
    seed: int = 0  # seed of the facts
    claims: int = 90  # of each number of hops


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, and the facts that prove it."""

    text: str
    chain: tuple[str, ...]

    @property
    def hops(self) -> int:
        """How many facts it takes."""
        return len(self.chain)


def table(result: Result) -> Rows:
    """Return the share of claims whose facts are all read, by hops and distractors."""
    rows: Rows = [
        [
            "other facts",
            "hops",
            "claims",
            *(f"all in the first {READS}: {name}" for name in ("bm25", "no bridge", "hops")),
        ]
    ]
    for part in result["facts"]:
        for hops, row in part["complete"].items():
            rows.append(
                [part["others"], hops, row["n"], *(percent(row[name]) for name in ("bm25", "no bridge", "hops"))]
            )
    return rows


def table_of_stops(result: Result) -> Rows:
    """Return F1 of the evidence at which each rule stops."""
    rules = list(result["facts"][0]["f1"])
    return [
        ["F1 of the evidence, other facts", *rules],
        *([part["others"], *(f"{part['f1'][rule]:.3f}" for rule in rules)] for part in result["facts"]),
    ]


def table_of_locomo(result: Result) -> Rows:
    """Return recall on LoCoMo's multi-hop questions."""
    rows: Rows = [["LoCoMo, development, multi-hop", "questions", "all @5", "all @10", "fraction @10", "nDCG@10"]]
    for name, m in result["locomo"].items():
        rows.append([name, m["n"], *(f"{m[x]:.3f}" for x in ("all@5", "all@10", "fraction@10", "ndcg@10"))])
    return rows


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how often all facts of a chain are read."""
    if (entry.form, entry.name) != ("text", "hops"):
        return None
    rows = [row for part in result["facts"] for hops, row in part["complete"].items() if hops != "1"]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in ("hops", "bm25", "no bridge")}
    text = f"reads all facts of {percent(mean['hops'])} of the chains of two and three hops within {READS} texts"
    return Figure(text, {"one search by BM25": percent(mean["bm25"]), "without bridges": percent(mean["no bridge"])})


@benchmark(
    "hops",
    help="Evidence over one to three hops: is all of it found, and does the search stop in time?",
    options=Options,
    tables={"hops": table, "hops-stop": table_of_stops, "hops-locomo": table_of_locomo},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Search chains of facts without and with distractors, and LoCoMo's multi-hop questions."""
    progress.expect(3)
    parts = []
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder="none", timezone="UTC") as memory,
    ):
        for others in (0, 2_000):
            facts, claims = base_of_facts(options.seed, others, options.claims)
            space = memory.space(f"facts-{others}")
            ids = [cube.id for cube in space.add_many([{"content": f} for f in facts], reconcile=False)]
            parts.append({"others": others, **chains(space.text.corpus(), dict(zip(facts, ids, strict=True)), claims)})
            progress(1)
        task = retrieval.only_splits(locomo.load(options.data), ("development",))
        found = {
            name: multi_hop(memory, name, retriever, task.haystacks)
            for name, retriever in (("bm25", Bm25()), ("hops", Hops()))
        }
        progress(1)
    return {"data": task.source, "facts": parts, "locomo": found}


def base_of_facts(seed: int, others: int, count: int) -> tuple[list[str], list[Claim]]:
    """Return facts in random order, and `count` claims of each number of hops."""
    rng = random.Random(seed)
    given, surname, company, town = (
        _names(rng, n, ending) for n, ending in ((40, ""), (120, "ez"), (COMPANIES, "corp"), (TOWNS, "ton"))
    )
    people = rng.sample([f"{a} {b}" for a in given for b in surname], PEOPLE)
    half = PEOPLE // 2
    spouse = dict(zip(people[:half], people[half:], strict=True))
    works, based = {p: rng.choice(company) for p in people}, {c: rng.choice(town) for c in company}
    married = {a: f"{a} is married to {b}." for a, b in spouse.items()}
    job = {p: f"{p} works at {c}." for p, c in works.items()}
    home = {c: f"The company {c} is based in {t}." for c, t in based.items()}
    claims = []
    for a in rng.sample(people[:half], min(count, half)):
        b = spouse[a]
        c = works[b]
        claims += [
            Claim(f"{b} works at {c}", (job[b],)),
            Claim(f"The person that {a} is married to works at {c}", (married[a], job[b])),
            Claim(
                f"The person that {a} is married to works at a company based in {based[c]}",
                (married[a], job[b], home[c]),
            ),
        ]
    noise = {
        f"{rng.choice(people)} {rng.choice(HABITS)} {rng.choice(people)} in {rng.choice(town)}." for _ in range(others)
    }
    facts = [*married.values(), *job.values(), *home.values(), *sorted(noise)]
    rng.shuffle(facts)
    return facts, claims


def _names(rng: random.Random, count: int, ending: str) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(3)).capitalize() + ending)
    return sorted(found)


def chains(corpus: Any, ids: dict[str, str], claims: Sequence[Claim]) -> dict[str, Any]:
    """Return how complete the first reads are, and F1 of the rules that stop."""
    place = {fact: i for i, fact in enumerate(ids)}  # positions are in the order of writing
    view = View(corpus, None, corpus.alive)
    methods: dict[str, Retriever] = {
        "bm25": Bm25(),
        "no bridge": Hops(bridge=0.0, stop=False, hops=READS),
        "hops": Hops(),
    }
    complete: dict[str, dict[str, Any]] = {}
    sets: dict[str, list[float]] = {}
    for claim in claims:
        query, gold = make_query(claim.text, None, utc_now()), {place[f] for f in claim.chain}
        row = complete.setdefault(str(claim.hops), {"n": 0, **dict.fromkeys(methods, 0.0)})
        row["n"] += 1
        for name, method in methods.items():
            best = np.argsort(-method.rank(view, query).scores, kind="stable")[:READS]
            row[name] += gold <= set(best.tolist())
        for rule, found in stops(view, query).items():
            sets.setdefault(rule, []).append(f1(found, gold))
    for row in complete.values():
        row |= {name: round(row[name] / row["n"], 4) for name in methods}
    means = {rule: round(float(np.mean(values)), 4) for rule, values in sets.items()}
    fixed = max(value for rule, value in means.items() if rule.startswith("fixed"))
    threshold = max(value for rule, value in means.items() if rule.startswith("threshold"))
    shown = {r: v for r, v in means.items() if not r.startswith("threshold")}
    return {"complete": complete, "f1": shown | {"best fixed": fixed, "best threshold": threshold}}


def stops(view: View, query: Any) -> dict[str, set[int]]:
    """Return the evidence at which each rule stops."""
    full = Hops(stop=False)
    paths = [replace(full, hops=h).prove(view, query) for h in range(1, full.hops + 1)]
    found = {"proof": set(Hops().prove(view, query).texts)} | {f"fixed {len(p.texts)}": set(p.texts) for p in paths}
    for least in THRESHOLDS:
        scores = np.array([0.0, *(p.score for p in paths)])
        small = np.flatnonzero(np.diff(scores) < least)
        end = max(int(small[0]) if len(small) else len(paths), 1)
        found[f"threshold {least}"] = set(paths[end - 1].texts)
    return found


def f1(found: set[int], gold: set[int]) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * len(found & gold) / max(len(found) + len(gold), 1)


def multi_hop(memory: Mnemos, name: str, retriever: Any, haystacks: Sequence[Haystack]) -> dict[str, Any]:
    """Return the metrics of a retriever on the multi-hop questions of conversations."""
    rows = []
    for haystack in haystacks:
        space = memory.space(f"{name} {haystack.name}", system=replace(DEFAULT, retrieve=retriever, rerank=()))
        space.add_many(haystack.messages, reconcile=False)
        for question in haystack.questions:
            if question.category == "multi-hop":
                rows.append(metrics.score(retrieval.rank(space, question, "cubes", "hybrid"), question.gold["turn"]))
    return retrieval.rounded(metrics.mean(rows))
