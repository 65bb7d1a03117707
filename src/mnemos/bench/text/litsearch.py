"""Questions about the literature, and the papers that answer: `mnemos bench litsearch`.

Reads LitSearch (arXiv 2407.18940) as JSON lines exported from its published tables, `query.jsonl` (query, specificity,
corpusids) and `corpus_clean.jsonl` (corpusid, title, abstract), in one folder; or, where these are not at hand, SciFact in
BEIR's layout, whose claims and abstracts are as rich in paraphrase. Recall@5 is the measure of specific questions and
recall@20 that of broad ones; claims count as specific. With `papers` the corpus is a slice: the papers that answer, and
others drawn at random up to that number.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text import metrics, scifact
from mnemos.bench.text.kept import kept
from mnemos.bench.text.task import Haystack, Question, Task, checksum
from mnemos.errors import InvalidInput
from mnemos.space import SearchMethod
from mnemos.system import Mnemos

METHODS: tuple[SearchMethod, ...] = ("words", "vectors", "hybrid")
DEPTH = 20
LIMIT = {"specific": 5, "broad": 20}  # the papers' own cutoffs
Kind = Literal["specific", "broad"]


@dataclass(frozen=True)
class Options:
    """The data and the slice."""

    data: Path  # a folder with LitSearch's query.jsonl and corpus_clean.jsonl, or SciFact in BEIR's layout
    papers: int | None = 1_000  # use a slice of this many papers; see the module
    questions: int | None = 200  # use only the first N questions
    methods: tuple[SearchMethod, ...] = METHODS  # how papers are found
    embedder: str = "bundled"  # what embeds the papers
    vectors: Path | None = None  # a file that keeps the vectors for the next run
    seed: int = 0  # seed of the slice


def load(folder: Path) -> Task:
    """Read LitSearch or SciFact from a folder. Raises InvalidInput for another format."""
    if not (folder / "query.jsonl").exists():
        return _of_scifact(folder)
    try:
        papers = [json.loads(line) for line in _lines(folder / "corpus_clean.jsonl")]
        asked = [json.loads(line) for line in _lines(folder / "query.jsonl")]
        messages = [_paper(p["corpusid"], p["title"], p["abstract"]) for p in papers]
        questions = [
            _question(i, q["query"], [str(c) for c in q["corpusids"]], "specific" if int(q["specificity"]) else "broad")
            for i, q in enumerate(asked)
        ]
    except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
        raise InvalidInput(f"{folder} is not LitSearch as JSON lines ({error!r:.80}). See `litsearch`.") from error
    source = {"file": folder.name, "sha256": checksum(folder / "query.jsonl")}
    return Task("litsearch", {"paper": "cubes"}, [Haystack("litsearch", messages, questions)], source)


def _of_scifact(folder: Path) -> Task:
    read = scifact.load(folder)
    messages = [_paper(i, "", text) for i, text in enumerate(read.texts)]
    asked = zip(read.test.questions, read.test.gold, strict=True)
    questions = [_question(i, text, [str(g) for g in gold], "specific") for i, (text, gold) in enumerate(asked)]
    return Task("scifact", {"paper": "cubes"}, [Haystack("scifact", messages, questions)], read.source)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _paper(name: object, title: object, abstract: object) -> dict[str, Any]:
    return {"id": str(name), "content": f"{title or ''}\n{abstract or ''}".strip() or "(no abstract)"}


def _question(number: int, text: str, gold: Sequence[str], kind: Kind) -> Question:
    return Question(str(number), text, {"paper": tuple(gold)}, kind, "test")


def sliced(task: Task, papers: int | None, questions: int | None, seed: int) -> Haystack:
    """Return the first questions, the papers that answer them, and others at random up to a number of papers."""
    whole = task.haystacks[0]
    asked = whole.questions[:questions]
    gold = {name for question in asked for name in question.gold["paper"]}
    if papers is None or papers >= len(whole.messages):
        return Haystack(whole.name, whole.messages, asked)
    others = [m for m in whole.messages if m["id"] not in gold]
    drawn = random.Random(seed).sample(others, max(min(papers - len(gold), len(others)), 0))
    return Haystack(whole.name, [*(m for m in whole.messages if m["id"] in gold), *drawn], asked)


def table(result: Result) -> Rows:
    """Return recall by method and kind of question."""
    lines: Rows = [["method", "questions", "n", "recall@5", "recall@20", "nDCG@10", "ms a question"]]
    for method, kinds in result["methods"].items():
        for kind, row in kinds.items():
            figures = [f"{row[name]:.3f}" for name in ("recall@5", "recall@20", "ndcg@10")]
            lines.append([method, kind, row["n"], *figures, f"{row['ms']:.1f}"])
    return lines


@benchmark(
    "litsearch",
    help="Questions about the literature: words, vectors and both on LitSearch, or on a slice of SciFact.",
    options=Options,
    tables={"litsearch": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Store the slice and ask its questions by every method."""
    task = load(options.data)
    haystack = sliced(task, options.papers, options.questions, options.seed)
    progress.expect(len(haystack.messages) + len(haystack.questions) * len(options.methods))
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
        if options.embedder == "none":
            with Mnemos(root, embedder="none", timezone="UTC") as memory:
                methods = measure(memory, haystack, options.methods, progress)
        else:
            with (
                kept(options.embedder, options.vectors) as embedder,
                Mnemos(root, embedder=embedder, timezone="UTC") as memory,
            ):
                methods = measure(memory, haystack, options.methods, progress)
    return {"data": task.source | {"set": task.name, "papers": len(haystack.messages)}, "methods": methods}


def measure(
    memory: Mnemos, haystack: Haystack, methods: Sequence[SearchMethod], progress: Progress
) -> dict[str, dict[str, Mapping[str, float]]]:
    """Return recall by method and kind of question."""
    space = memory.space("papers")
    space.add_many(haystack.messages, reconcile=False, progress=progress)
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for method in methods:
        rows: dict[str, list[dict[str, float]]] = {}
        for question in haystack.questions:
            start = time.perf_counter()
            hits = space.search(question.text, DEPTH, method=method)
            ms = 1e3 * (time.perf_counter() - start)
            ranking, gold = [hit.cube.id for hit in hits], question.gold["paper"]
            row = {f"recall@{k}": metrics.fraction(ranking, gold, k) for k in LIMIT.values()}
            rows.setdefault(question.category, []).append(row | {"ndcg@10": metrics.ndcg(ranking, gold), "ms": ms})
            progress(1)
        found[method] = {kind: {k: round(v, 5) for k, v in metrics.mean(each).items()} for kind, each in rows.items()}
    return found
