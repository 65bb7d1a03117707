"""LifeBench (1754955896/LifeBench): the records of a phone, a year of them, that a question about a life needs.

One space per person and language, a cube per record: a chat with an assistant, an entry of the calendar, a call, a
contact, a note, a photo, a notification, a short message. A cube has the readable part of its record, not the
annotator's summary of it; its metadata `type` says what it is. Gold are the records of the evidence, `TYPE/ID`; an id
that names no record is left out, and so are the questions without evidence. The split is the language, the category the
kind of question.
"""

from __future__ import annotations

import calendar
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum, existing, read_json
from mnemos.errors import InvalidInput

SENT = {"Send", "Issue", "发送", "发出"}  # the messages that the owner of the phone wrote; others come from the contact
NOTHING = {"", "none", "无"}  # what the text seen in a photo is when there is none
COLON = {"zh": "："}  # between a label and its text; elsewhere ": "
Message = dict[str, Any]


def load(data: Path) -> Task:
    """Read the folder with `LANGUAGE/PERSON/QA_clean.json`. Raises InvalidInput when there is none."""
    existing(data, "the folder of LifeBench, with en/ and zh/")
    folders = sorted(file.parent for file in data.glob("*/*/QA_clean.json"))
    if not folders:
        raise InvalidInput(f"{data}: no */*/QA_clean.json in it. Give the folder of LifeBench, with en/ and zh/.")
    source = {"file": data.name, "sha256": checksum(data)}
    return Task("lifebench", {"record": "cubes"}, [haystack(folder) for folder in folders], source)


def haystack(folder: Path) -> Haystack:
    """Return one person's records in one language by time, and the questions that have evidence among them."""
    language, person = folder.parent.name, folder.name
    owner = read_json(folder / "persona.json", "persona.json of LifeBench")["name"]
    records = {
        file.stem: read_json(file, "a file of LifeBench")
        for file in sorted(folder.glob("*.json"))
        if file.stem not in ("QA_clean", "persona")
    }
    messages, ids = cubes(records, owner, COLON.get(language, ": "))
    questions = []
    for number, item in enumerate(read_json(folder / "QA_clean.json", "QA_clean.json")):
        names = [name for e in item.get("evidence") or () for name in ids.get((e["type"], str(e["id"])), ())]
        if gold := tuple(dict.fromkeys(names)):
            name, asked = f"{language}/{person}/{number}", month_end(item["ask_time"])
            question = item["question"]
            questions.append(Question(name, question, {"record": gold}, item["question_type"], language, asked))
    return Haystack(f"lifebench-{language}-{person}", messages, questions)


def cubes(
    records: Mapping[str, Sequence[Mapping[str, Any]]], owner: str, colon: str
) -> tuple[list[Message], dict[tuple[str, str], list[str]]]:
    """Return the messages of all records by time, and the ids of those of each (type, phone_id)."""
    messages: list[Message] = []
    ids: dict[tuple[str, str], list[str]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for kind, rows in records.items():
        for row in rows:
            key = f"{kind}/{row['phone_id']}"  # a few ids are given twice
            seen[key] += 1
            name = key if seen[key] == 1 else f"{key}#{seen[key]}"
            messages.append({"id": name, "metadata": {"type": kind}} | READ[kind](row, owner, colon))
            ids[kind, str(row["phone_id"])].append(name)
    first = min(message["at"] for message in messages if "at" in message)
    for message in messages:
        message.setdefault("at", first)  # contacts were always there
    return sorted(messages, key=lambda message: message["at"]), ids


def moment(text: str) -> datetime:
    """Read `2025-01-04 09:35:01`, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def month_end(text: str) -> datetime:
    """Return the last moment of a month, `2025-01`."""
    year, month = map(int, text.split("-")[:2])
    return datetime(year, month, calendar.monthrange(year, month)[1], 23, 59, tzinfo=UTC)


def _agent_chat(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    turns = [f"{role}: {turn[role]['content']}" for turn in row["conversation"].values() for role in turn]
    return {"content": "\n".join(turns), "at": moment(row["date"]) + timedelta(hours=12)}


def _calendar(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    return {"content": f"{row['title']}\n{row['description']}", "at": moment(row["start_time"])}


def _call(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    return {"content": f"{row['call_type']}{colon}{row['contactName']}", "at": moment(row["datetime"])}


def _contact(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    names = ("name", "nickname", "relation", "phoneNumber", "personalEmail", "workEmail")
    return {"content": ", ".join(str(row[name]) for name in names if row.get(name))}


def _note(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    return {"content": f"{row['title']}\n{row['content']}", "at": moment(row["datetime"])}


def _photo(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    place = row["location"] or {}
    where = ", ".join(dict.fromkeys(str(place[name]) for name in ("poi", "streetName", "city") if place.get(name)))
    parts = [row["caption"], where, *(", ".join(row[name] or ()) for name in ("faceRecognition", "imageTag"))]
    if str(row.get("ocrText") or "").strip().lower() not in NOTHING:
        parts.append(row["ocrText"])
    return {"content": "\n".join(part for part in parts if part), "at": moment(row["datetime"])}


def _push(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    return {"content": f"{row['source']}{colon}{row['title']}\n{row['content']}", "at": moment(row["datetime"])}


def _sms(row: Mapping[str, Any], owner: str, colon: str) -> Message:
    speaker = owner if row["message_type"] in SENT else row["contactName"]
    return {
        "content": f"{row['contactName']}{colon}{row['message_content']}", "speaker": speaker,
        "at": moment(row["datetime"]),
    }  # fmt: skip


READ = {
    "agent_chat": _agent_chat, "calendar": _calendar, "call": _call, "contact": _contact, "note": _note,
    "photo": _photo, "push": _push, "sms": _sms,
}  # fmt: skip


@benchmark(
    "lifebench",
    help="Recall of the phone records, of one year, that a question about a life needs.",
    options=retrieval.Options,
    tables={
        "lifebench": quality("record"),
        "lifebench-category": categories("record"),
        "lifebench-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store the records of each person and language in a space and ask the questions about them."""
    return retrieval.measure(load(options.data), options, progress)
