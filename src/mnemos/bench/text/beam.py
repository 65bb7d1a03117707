"""BEAM (Tavakoli et al., arXiv 2510.27246), the 100K split: recall of the source messages of each question.

One space per chat. Gold is `source_chat_ids`, flattened; questions without any (all of kind `abstention`) are left
out, which leaves 355 of nine kinds. The markers that end generated questions (`->-> 1,1`) are stripped from the text.
Chats 1 to 10 are for development, 11 to 20 for the report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, quality, speed, summary
from mnemos.bench.text.task import Haystack, Question, Task, checksum, existing
from mnemos.errors import InvalidInput
from mnemos.transfer.benchmarks import beam_messages

DEVELOPMENT = range(1, 11)


def source_ids(value: Any) -> tuple[str, ...]:
    """Return the ids in nested lists and dicts, in order, each once, as strings."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return tuple(dict.fromkeys(i for item in value for i in source_ids(item)))
    return () if value is None else (str(value),)


def load(data: Path) -> Task:
    """Read the folder that holds the chats, `1/` to `20/`. Raises InvalidInput when there is none."""
    existing(data, "the folder of BEAM chats, 1/ to 20/")
    folders = sorted((f.parent for f in data.glob("*/probing_questions.json")), key=lambda f: (len(f.name), f.name))
    if not folders:
        raise InvalidInput(f"{data}: no */probing_questions.json in it. Give the folder of BEAM chats, 1/ to 20/.")
    haystacks = [haystack(folder) for folder in folders]
    return Task("beam", {"message": "cubes"}, haystacks, {"file": data.name, "sha256": checksum(data)})


def haystack(folder: Path) -> Haystack:
    """Return one chat and its questions with sources, asked after its last message."""
    messages = beam_messages(folder)
    probes = json.loads((folder / "probing_questions.json").read_text(encoding="utf-8"))
    split = "development" if int(folder.name) in DEVELOPMENT else "report"
    questions = []
    for kind, items in probes.items():
        for number, item in enumerate(items):
            if gold := source_ids(item.get("source_chat_ids")):
                name = f"{folder.name}/{kind}/{number}"
                asked_at = messages[-1]["at"]
                questions.append(Question(name, item["question"], {"message": gold}, kind, split, asked_at))
    return Haystack(f"beam-{folder.name}", messages, questions)


@benchmark(
    "beam",
    help="Recall of the source messages in BEAM's long chats.",
    options=retrieval.Options,
    tables={
        "beam-summary": summary("BEAM"),
        "beam": quality("message"),
        "beam-category": categories("message"),
        "beam-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store each chat in a space and ask its questions."""
    return retrieval.measure(load(options.data), options, progress)
