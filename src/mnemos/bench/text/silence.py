"""Silence: `mnemos bench silence`. Where nothing that was told answers, nothing should be shown.

People ("hands") wrote small memories, 8 to 14 things that one person told, and six questions on each. About half of them have
no answer there; most of these are near in topic (the vet was told, the dentist is asked for). Measured are `Space.context`,
which should be empty for these and only for these, `Hits.answerable`, and whether the relevance of hits is a probability:
the expected calibration error (Naeini et al., AAAI 2015) over ten bins of all hits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.hands import Item, items
from mnemos.bench.text.task import Haystack, Question
from mnemos.system import Mnemos

BINS = 10
DAY = "2025-03-{:02d}T10:00"
ASKED = "2025-06-01"


@dataclass(frozen=True)
class Options:
    """What was told, and the settings."""

    data: str = ""  # file or folder of JSON lines instead of those of the package, one file a hand
    embedder: str = "bundled"  # what embeds the texts


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question found: the relevance of each hit and whether it is right, and whether anything was shown."""

    has_answer: bool
    found: tuple[tuple[float, bool], ...]
    answerable: bool
    shown: bool


def load(data: str) -> dict[str, list[Item]]:
    """Return the items by hand. Raises InvalidInput for a file of another kind."""
    return items("silence", data, "silence.jsonl", lambda item: bool(item["told"]) and "answer" in item["asked"][0])


def haystack(item: Item) -> Haystack:
    """Return what was told, a thing a day, and the questions; the gold of one without an answer is empty."""
    messages = [
        {"id": str(i), "content": text, "role": "user", "at": DAY.format(i + 1)} for i, text in enumerate(item["told"])
    ]
    questions = [
        Question(f"{item['id']}/{i}", q["question"], {"text": tuple(map(str, q["answer"]))}, "", "", ASKED)
        for i, q in enumerate(item["asked"])
    ]
    return Haystack(item["id"], messages, questions)


def calibration_error(probabilities: Sequence[float], happened: Sequence[bool]) -> float:
    """Return the expected calibration error: the mean gap between probability and frequency, over ten bins."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for p, right in zip(probabilities, happened, strict=True):
        bins[min(int(p * BINS), BINS - 1)].append((p, right))
    gaps = [abs(sum(p for p, _ in b) - sum(right for _, right in b)) for b in bins]
    return sum(gaps) / max(len(probabilities), 1)


def scored(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the figures of some answers."""
    nothing, something = ([a for a in answers if a.has_answer is has] for has in (False, True))
    hits = [hit for a in answers for hit in a.found]

    def share(of: Sequence[Answer], what: Sequence[bool]) -> float | None:
        return round(sum(what) / len(of), 4) if of else None

    return {
        "questions": len(answers),
        "without_answer": len(nothing),
        "found": share(something, [any(right for _, right in a.found) for a in something]),
        "empty_when_nothing": share(nothing, [not a.shown for a in nothing]),
        "empty_when_told": share(something, [not a.shown for a in something]),
        "not_answerable_when_nothing": share(nothing, [not a.answerable for a in nothing]),
        "not_answerable_when_told": share(something, [not a.answerable for a in something]),
        "calibration_error": round(calibration_error([p for p, _ in hits], [right for _, right in hits]), 4),
    }


def table(result: Result) -> Rows:
    """Return the figures by hand."""
    lines: Rows = [[
        "hand", "questions, of which without an answer", "evidence in the first ten", "context empty: nothing told",
        "context empty: told", "not answerable: nothing told", "not answerable: told", "calibration error",
    ]]  # fmt: skip
    for hand, m in result["hands"].items():
        shares = (
            "found", "empty_when_nothing", "empty_when_told", "not_answerable_when_nothing", "not_answerable_when_told",
        )  # fmt: skip
        cells = ["–" if m[name] is None else percent(m[name], 0) for name in shares]
        lines.append([hand, f"{m['questions']}, {m['without_answer']}", *cells, f"{m['calibration_error']:.3f}"])
    return lines


@benchmark(
    "silence",
    help="Where nothing that was told answers, is nothing shown?",
    options=Options,
    tables={"silence": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Store what each person told, ask the questions, and look at what is shown."""
    hands = load(options.data)
    progress.expect(sum(len(item["asked"]) for each in hands.values() for item in each))
    found: Mapping[str, list[Answer]] = {hand: [] for hand in hands}
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        for hand, each in hands.items():
            for item in each:
                asked = haystack(item)
                space = memory.space(f"{hand}-{asked.name}")
                space.add_many(asked.messages)
                for question in asked.questions:
                    gold = set(question.gold["text"])
                    hits = space.search(question.text, asked_at=ASKED)
                    rated = tuple((hit.relevance or 0.0, hit.cube.id in gold) for hit in hits)
                    shown = bool(space.context(question.text, asked_at=ASKED))
                    found[hand].append(Answer(bool(gold), rated, hits.answerable, shown))
                    progress(1)
                memory.remove(space.name)
    return {"hands": {hand: scored(answers) for hand, answers in found.items()}}
