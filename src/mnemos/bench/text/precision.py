"""PrecisionMemBench (Flynt, arXiv 2605.11325): what must be returned for a question, and what must not.

35 beliefs of a user who codes and writes, with scopes, aliases, superseded and resolved ones and pinned facts, and 77
cases, a third of which nothing answers. As in its harness a belief is one text (name, aliases, content, why it
matters), a search is one of a scope and returns at most 20, pinned beliefs are shown apart and do not count, and a
relation that is found brings its participants. Precision is the share of what is returned that is right: 0 where
something is returned and nothing should be, left out where both are nothing.

Two settings. `texts`: a search knows the scope alone, as the harness gives it to every product. `states`: the states and
types of the beliefs are used as a user of Mnemos would: superseded and resolved ones are archived, open questions are
asked for apart. The 12 cases of sessions are not run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.metrics import latency_ms
from mnemos.bench.text.retrieval import SYSTEMS
from mnemos.bench.text.task import checksum, existing, read_json
from mnemos.errors import InvalidInput
from mnemos.system import Mnemos

FILES = ("beliefs.seed.json", "retrieval.cases.json")
USER = "test-user"
MOST = 20  # beliefs that a search may return
SCORES = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5)  # the values of `min_score` that are compared
PUBLISHED = (  # its README, November 2026: mean precision, mean recall
    ("tenure, its maker's own", 1.00, 1.00), ("open-knowledge-format", 0.47, 0.91), ("supermemory", 0.22, 0.71),
    ("agentmemory", 0.17, 0.97), ("yourmemory", 0.17, 0.88), ("atomicmemory", 0.15, 0.95), ("gbrain", 0.14, 0.17),
    ("zep", 0.09, 0.95), ("vectors alone", 0.09, 1.00), ("mem0", 0.06, 0.99), ("hindsight", 0.06, 1.00),
    ("a-mem", 0.06, 0.99), ("cognee", 0.05, 0.92),
)  # fmt: skip
Belief = Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """The data, and the settings that are measured."""

    data: Path  # the folder with beliefs.seed.json and retrieval.cases.json; it is not part of Mnemos
    settings: tuple[str, ...] = ("texts", "states")  # what the searches know of the beliefs
    embedder: str = "bundled"  # what embeds the texts


@dataclass(frozen=True, slots=True)
class Case:
    """A question in its scopes, and the beliefs that are right; None: it asserts nothing about them."""

    id: str
    user: str
    scopes: tuple[str, ...]
    query: str
    most: int
    right: frozenset[str] | None


def load(data: Path) -> tuple[list[Belief], list[Case]]:
    """Read the beliefs and the cases. Raises InvalidInput where they are not there."""
    existing(data, "the folder of PrecisionMemBench")
    beliefs, cases = (read_json(data / name, f"{name} of PrecisionMemBench") for name in FILES)
    if not all(isinstance(belief, dict) and "canonical_name" in belief for belief in beliefs):
        raise InvalidInput(f"{data / FILES[0]}: expected a list of beliefs. Is this PrecisionMemBench?")
    return beliefs, [_case(case) for case in cases]


def _case(case: Mapping[str, Any]) -> Case:
    expected = case["expect"].get("relevantBeliefs", {}).get("shouldOnlyInclude")
    right = None if expected is None else frozenset(expected)
    most = case.get("budget", {}).get("maxBeliefs", MOST)
    return Case(case["caseId"], case.get("userId", USER), tuple(case["scope"]), case["query"], most, right)


def text_of(belief: Belief) -> str:
    """Return a belief as one text, as the harness writes it."""
    parts = [belief["canonical_name"], *belief["aliases"], belief["content"], belief["why_it_matters"]]
    return " ".join(part for part in parts if part)


def is_shown(belief: Belief) -> bool:
    """Tell whether a belief holds still: it is neither superseded nor resolved."""
    return not belief.get("superseded_by") and not belief.get("resolved_at")


def pinned(beliefs: Sequence[Belief], case: Case) -> list[str]:
    """Return the beliefs that are shown whatever the question is."""
    return [
        b["_id"]
        for b in beliefs
        if b["pinned"] and b["type"] != "open_question" and is_shown(b)
        if b["user_id"] == case.user and set(b["scope"]) & set(case.scopes)
    ]  # fmt: skip


class Run:
    """The beliefs, stored, and searches for the cases."""

    def __init__(self, memory: Mnemos, beliefs: Sequence[Belief], setting: str) -> None:
        self.memory, self.setting = memory, setting
        self.beliefs = {b["_id"]: b for b in beliefs}
        for user in {b["user_id"] for b in beliefs} | {USER}:
            mine = [b for b in beliefs if b["user_id"] == user]
            space = memory.space(f"{setting}-{user}")
            space.add_many([
                {
                    "id": b["_id"], "content": text_of(b), "role": "user", "at": b["created_at"],
                    "metadata": {"scope": b["scope"], "type": b["type"]},
                }
                for b in mine
            ])  # fmt: skip
            if setting == "states":
                space.archive([b["_id"] for b in mine if not is_shown(b)])

    def ranked(self, case: Case, system: str) -> list[tuple[str, float]]:
        """Return what a system finds for a case with its relevance: the scopes take turns, pinned beliefs left out."""
        if not case.query.strip() or not case.most or f"{self.setting}-{case.user}" not in self.memory:
            return []
        space, lists = self.memory.space(f"{self.setting}-{case.user}"), []
        for scope in case.scopes:
            where: dict[str, Any] = {"scope": {"$contains": scope}}
            if self.setting == "states":
                where["type"] = {"$ne": "open_question"}
            hits = space.search(case.query, case.most, method=SYSTEMS[system], where=where)
            lists.append([(hit.cube.id, hit.relevance or 0.0) for hit in hits])
        apart = set(pinned(list(self.beliefs.values()), case))
        found: dict[str, float] = {}
        for place in range(max(map(len, lists), default=0)):
            for hits_of in lists:
                for name, relevance in hits_of[place : place + 1]:
                    if name not in apart:
                        found[name] = max(relevance, found.get(name, 0.0))
        return list(found.items())[: case.most]

    def returned(self, case: Case, found: Sequence[tuple[str, float]], least: float) -> list[str]:
        """Return the beliefs of at least this relevance, and the participants of relations among them, as many as fit."""
        kept = [name for name, relevance in found if relevance >= least]
        apart = pinned(list(self.beliefs.values()), case)
        return [*dict.fromkeys([*kept, *self._participants(case, kept, apart)])][: max(0, case.most - len(apart))]

    def _participants(self, case: Case, kept: Sequence[str], apart: Sequence[str]) -> Iterator[str]:
        for name in kept:
            for other in (
                self.beliefs[name].get("participants") or () if self.beliefs[name]["type"] == "relation" else ()
            ):
                belief = self.beliefs.get(other)
                if belief is None or belief["type"] == "open_question" or other in apart:
                    continue
                if belief["user_id"] == case.user and set(belief["scope"]) & set(case.scopes):
                    yield other


def scored(cases: Sequence[Case], returned: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return mean precision and recall as the harness counts them, and the cases that are exactly right."""
    precisions, recalls, right = [], [], 0
    for case, names in zip(cases, returned, strict=True):
        if case.right is None:
            continue
        hits = len(case.right & set(names))
        right += case.right == set(names)
        if names or case.right:
            precisions.append(hits / len(names) if names else 0.0)
        if case.right:
            recalls.append(hits / len(case.right))
    return {
        "precision": round(sum(precisions) / max(len(precisions), 1), 4),
        "recall": round(sum(recalls) / max(len(recalls), 1), 4),
        "exact": right,
        "cases": sum(case.right is not None for case in cases),
    }


def table(result: Result) -> Rows:
    """Return precision and recall by setting, system and `min_score`, and what is published of others."""
    lines: Rows = [["knows", "system", "min_score", "mean precision", "mean recall", "exactly right"]]
    for setting, systems in result["settings"].items():
        for system, by_score in systems.items():
            for least, m in by_score["scores"].items():
                right = f"{m['exact']} of {m['cases']}"
                lines.append([setting, system, least, f"{m['precision']:.2f}", f"{m['recall']:.2f}", right])
    lines += [
        ["published", name, "–", f"{precision:.2f}", f"{recall:.2f}", "–"] for name, precision, recall in PUBLISHED
    ]
    return lines


@benchmark(
    "precision",
    help="What must not be returned: mean precision and recall on PrecisionMemBench.",
    options=Options,
    tables={"precision": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Store the beliefs, run the cases with each system, and keep what each `min_score` keeps."""
    beliefs, cases = load(options.data)
    systems = ("mnemos", "bm25", "vectors")
    progress.expect(len(options.settings) * len(systems) * len(cases))
    settings: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        for setting in options.settings:
            stored = Run(memory, beliefs, setting)
            settings[setting] = {}
            for system in systems:
                found, seconds = [], []
                for case in cases:
                    start = time.perf_counter()
                    found.append(stored.ranked(case, system))
                    seconds.append(time.perf_counter() - start)
                    progress(1)
                scores = SCORES if system == "mnemos" else SCORES[:1]
                by_score = {
                    str(least): scored(cases, [stored.returned(c, f, least) for c, f in zip(cases, found, strict=True)])
                    for least in scores
                }
                settings[setting][system] = {"latency": latency_ms(seconds), "scores": by_score}
        model = memory.embedder and {"name": memory.embedder.name, "revision": memory.embedder.revision}
    source = {"file": options.data.name, "sha256": checksum(options.data), "beliefs": len(beliefs), "cases": len(cases)}
    return {"data": source, "embedder": model, "settings": settings}
