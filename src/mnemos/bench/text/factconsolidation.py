"""FactConsolidation of MemoryAgentBench (Hu et al., arXiv 2507.05257), single-hop: the later of two facts wins.

One space per list of numbered facts, told in their order, a minute apart. Many a fact is contradicted by a later one,
with made-up values, so that only the order tells which holds. The data give the answer, not the number of the fact:
gold is the latest fact that ends with the answer and shares the question's rarest words. hit@1 is the measure: does
the fact that holds come first? The category is the length of the list.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum, read_json
from mnemos.errors import InvalidInput

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
FIELDS = {"context", "questions", "answers", "metadata"}
FACT = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
WORD = re.compile(r"\w+")


def load(data: Path) -> Task:
    """Read the single-hop lists. Raises InvalidInput for another format."""
    lists = read_json(data, "FactConsolidation's single_hop.json")
    if not isinstance(lists, list) or not all(isinstance(x, dict) and x.keys() >= FIELDS for x in lists):
        raise InvalidInput(f"{data} is not FactConsolidation: expected a list with {', '.join(sorted(FIELDS))}.")
    source = {"file": data.name, "sha256": checksum(data)}
    return Task("factconsolidation", {"fact": "cubes"}, [haystack(entry) for entry in lists], source)


def haystack(entry: Mapping[str, Any]) -> Haystack:
    """Return one list of facts and its questions, asked after the last fact."""
    name = str(entry["metadata"]["source"])
    facts = FACT.findall(entry["context"])
    messages = [
        {"id": str(number), "content": fact, "at": FIRST + timedelta(minutes=number)}
        for number, fact in enumerate(facts)
    ]
    counts = Counter(word for fact in facts for word in words(fact))
    questions = []
    for number, (question, answers) in enumerate(zip(entry["questions"], entry["answers"], strict=True)):
        gold = latest(facts, question, answers, counts)
        if gold is not None:
            asked = FIRST + timedelta(minutes=len(facts))
            kind, length = "single-hop", name.rpartition("_")[2]
            found = {"fact": (str(gold),)}
            questions.append(Question(f"{name}/{kind}/{number}", question, found, length, "development", asked))
    return Haystack(name, messages, questions)


def latest(facts: Sequence[str], question: str, answers: Sequence[str], counts: Counter[str]) -> int | None:
    """Return the number of the latest fact that answers, or None: it shares the most of the question's rare words."""
    wanted, best = words(question), (0.0, -1)
    for number, fact in enumerate(facts):
        for answer in answers:
            if fact.rstrip(".").endswith(answer.rstrip(".")):
                told = words(fact[: fact.rindex(answer.rstrip("."))])
                shared = sum(math.log(len(facts) / counts[word]) for word in wanted & told)
                best = max(best, (shared, number))
    return best[1] if best[1] >= 0 else None


def words(text: str) -> set[str]:
    """Return the words of a text, in lower case."""
    return set(WORD.findall(text.lower()))


@benchmark(
    "factconsolidation",
    help="Which of two contradicting facts comes first: the newest one should.",
    options=retrieval.Options,
    tables={
        "factconsolidation": quality("fact"),
        "factconsolidation-length": categories("fact", "hit@1"),
        "factconsolidation-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store each list of facts in a space and ask its questions."""
    return retrieval.measure(load(options.data), options, progress)
