"""QMSum (Zhong et al., NAACL 2021, arXiv 2104.05938): the turns of a real meeting that a question is about.

One space per meeting, a cube per turn with its speaker. Gold are the turns of the annotated spans, dozens as a rule: no ten
hits can be all of them, so any@10 and nDCG@10 tell more than the fraction. The general queries, which have no span, are
left out. The file tells the split: `val.jsonl` is for development.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum, existing
from mnemos.errors import InvalidInput

FIRST = datetime(2024, 1, 1, 9, tzinfo=UTC)  # the data have no times: a turn every ten seconds
TURN = timedelta(seconds=10)
FIELDS = {"meeting_transcripts", "specific_query_list"}


def load(data: Path) -> Task:
    """Read a file with a meeting a line, `val.jsonl`. Raises InvalidInput for another format."""
    existing(data, "QMSum's val.jsonl")
    try:
        meetings = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise InvalidInput(f"{data} is not JSON lines ({error}). Give QMSum's val.jsonl.") from error
    if not meetings or not all(isinstance(m, dict) and m.keys() >= FIELDS for m in meetings):
        raise InvalidInput(f"{data} is not QMSum: expected a meeting a line with {', '.join(sorted(FIELDS))}.")
    split = "development" if data.stem == "val" else "report"
    haystacks = [haystack(f"qmsum-{number}", meeting, split) for number, meeting in enumerate(meetings)]
    return Task("qmsum", {"turn": "cubes"}, haystacks, {"file": data.name, "sha256": checksum(data)})


def haystack(name: str, meeting: Mapping[str, Any], split: str) -> Haystack:
    """Return the turns of one meeting that say something, and its specific queries."""
    turns = {str(i): turn for i, turn in enumerate(meeting["meeting_transcripts"]) if turn["content"].strip()}
    messages = [
        {
            "id": number, "content": turn["content"], "speaker": turn["speaker"], "session": "meeting",
            "at": FIRST + int(number) * TURN,
        }
        for number, turn in turns.items()
    ]  # fmt: skip
    questions = []
    for place, item in enumerate(meeting["specific_query_list"]):
        spans = [range(int(first), int(last) + 1) for first, last in item["relevant_text_span"]]
        gold = tuple(dict.fromkeys(str(i) for span in spans for i in span if str(i) in turns))
        if gold:
            asked = messages[-1]["at"]
            questions.append(Question(f"{name}/{place}", item["query"], {"turn": gold}, "specific", split, asked))
    return Haystack(name, messages, questions)


@benchmark(
    "qmsum",
    help="Recall of the turns of a real meeting that a question is about.",
    options=retrieval.Options,
    tables={"qmsum": quality("turn"), "qmsum-speed": speed},
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store each meeting in a space and ask its questions."""
    return retrieval.measure(load(options.data), options, progress)
