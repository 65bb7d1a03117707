"""REALTALK (Lee et al. 2025, arXiv 2502.13270): recall of the evidence in chats that people really had, over three weeks.

One space per chat of two people, a cube per message; a photo's caption stands in the text. Questions and evidence have the form
of LoCoMo, and its corrections. Nothing of Mnemos was fitted on this set: all of it is for the report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.locomo import questions
from mnemos.bench.text.retrieval_tables import categories, quality, speed, summary
from mnemos.bench.text.task import Haystack, Task, checksum, existing, read_json
from mnemos.errors import InvalidInput

FIELDS = {"name", "session_1", "qa"}


def load(data: Path) -> Task:
    """Read the folder of the chats, `Chat_*.json`. Raises InvalidInput for another format."""
    existing(data, "the folder with REALTALK's Chat_*.json")
    files = sorted(data.glob("Chat_*.json"), key=lambda f: (len(f.stem.split("_")[1]), f.stem))
    if not files:
        raise InvalidInput(f"{data}: no Chat_*.json in it. Give the folder of REALTALK's chats.")
    haystacks = []
    for file in files:
        chat = read_json(file, "a chat of REALTALK")
        if not isinstance(chat, dict) or not chat.keys() >= FIELDS:
            raise InvalidInput(f"{file} is not a chat of REALTALK: expected {', '.join(sorted(FIELDS))}.")
        haystacks.append(haystack(file.stem.lower(), chat))
    return Task(
        "realtalk", {"turn": "cubes", "session": "sessions"}, haystacks, {"file": data.name, "sha256": checksum(data)}
    )


def haystack(name: str, chat: Mapping[str, Any]) -> Haystack:
    """Return the messages of one chat that say something, and its questions with evidence, asked after the last one."""
    messages = []
    for session in sorted((key for key in chat if re.fullmatch(r"session_\d+", key)), key=lambda key: int(key[8:])):
        for turn in chat[session]:
            caption = turn.get("blip_caption")
            text = turn["clean_text"] + (f" [shares a photo: {caption}]" if caption else "")
            if text.strip():
                at = datetime.strptime(turn["date_time"], "%d.%m.%Y, %H:%M:%S").replace(tzinfo=UTC)
                messages.append(
                    {"id": turn["dia_id"], "content": text, "speaker": turn["speaker"], "session": session, "at": at}
                )
    last = max(message["at"] for message in messages)
    return Haystack(f"realtalk-{name}", messages, questions(name, chat["qa"], "report", last))


@benchmark(
    "realtalk",
    help="Recall of the evidence in chats that people really had, by message and by session.",
    options=retrieval.Options,
    tables={
        "realtalk-summary": summary("REALTALK"),
        "realtalk-turn": quality("turn"),
        "realtalk-turn-category": categories("turn"),
        "realtalk-session": quality("session"),
        "realtalk-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store each chat in a space and ask its questions."""
    return retrieval.measure(load(options.data), options, progress)
