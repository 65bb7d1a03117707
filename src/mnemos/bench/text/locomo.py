"""LoCoMo (Maharana et al., ACL 2024, arXiv 2402.17753): recall of the evidence turns, and of their sessions.

One space per conversation. All 1,982 questions that name evidence are asked, of all five categories. An evidence id
with a typing error is corrected where its meaning is clear (`D8:6; D9:17` are two ids, `D30:05` is D30:5); one that
names no turn stays in the gold set: no system can find it, so it counts against all alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, figure, quality, speed, summary
from mnemos.bench.text.task import Haystack, Question, Task, checksum, read_json
from mnemos.errors import InvalidInput
from mnemos.transfer.benchmarks import is_locomo, locomo_turns

DEVELOPMENT = ("conv-26", "conv-30", "conv-41", "conv-42", "conv-43")
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


def evidence_ids(evidence: Iterable[str]) -> tuple[str, ...]:
    """Return the evidence as turn ids `D<session>:<turn>`, corrected where the meaning is clear, each once."""
    ids = []
    for piece in (p for text in evidence for p in re.split(r"[;,\s]+", text) if p):
        match = re.fullmatch(r"D:?(\d+):(\d+)", piece)
        ids.append(f"D{int(match[1])}:{int(match[2])}" if match else piece)
    return tuple(dict.fromkeys(ids))


def session_of(turn: str) -> str:
    """Return the session of a turn id: `D3:7` is in `session_3`; an id that names no session is returned unchanged."""
    match = re.match(r"D(\d+):", turn)
    return f"session_{match[1]}" if match else turn


def load(data: Path) -> Task:
    """Read `locomo10.json`. Raises InvalidInput for another format."""
    samples = read_json(data, "locomo10.json")
    if not is_locomo(samples):
        raise InvalidInput(f"{data} is not LoCoMo's data: give locomo10.json, a list of conversations with questions.")
    haystacks = [haystack(sample) for sample in samples]
    source = {"file": data.name, "sha256": checksum(data)}
    return Task("locomo", {"turn": "cubes", "session": "sessions"}, haystacks, source)


def haystack(sample: Mapping[str, Any]) -> Haystack:
    """Return one conversation and its questions with evidence, asked after its last session."""
    name = sample["sample_id"]
    messages = locomo_turns(sample)
    split = "development" if name in DEVELOPMENT else "report"
    return Haystack(name, messages, questions(name, sample["qa"], split, messages[-1]["at"]))


def questions(name: str, items: Iterable[Mapping[str, Any]], split: str, asked_at: datetime) -> list[Question]:
    """Return those of a conversation's questions that name evidence."""
    found = []
    for number, item in enumerate(items):
        if turns := evidence_ids(item.get("evidence") or ()):
            gold = {"turn": turns, "session": tuple(dict.fromkeys(session_of(t) for t in turns))}
            category = CATEGORIES[item["category"]]
            found.append(Question(f"{name}/{number}", item["question"], gold, category, split, asked_at))
    return found


@benchmark(
    "locomo",
    help="Recall of the evidence in LoCoMo's ten conversations, by turn and by session.",
    options=retrieval.Options,
    tables={
        "locomo-summary": summary("LoCoMo"),
        "locomo-turn": quality("turn"),
        "locomo-turn-category": categories("turn"),
        "locomo-session": quality("session"),
        "locomo-session-category": categories("session"),
        "locomo-speed": speed,
    },
    figure=figure("LoCoMo"),
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store each conversation in a space and ask its questions."""
    return retrieval.measure(load(options.data), options, progress)
