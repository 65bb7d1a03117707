"""The conversations of LoCoMo (arXiv 2402.17753) and of BEAM, without their questions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.transfer.inputs import read_file
from mnemos.transfer.source import Item, Message, as_list, decode, is_list_of, parse

_GENERATED = re.compile(r"\s*->->[\w/,\s]{0,40}\Z")  # BEAM's generator leaves its plan's number behind a question


def is_locomo(value: Any) -> bool:
    """Tell whether a JSON value is locomo10.json."""
    return is_list_of(value, "sample_id", "conversation")


def locomo(value: Any, where: str) -> Iterator[Item]:
    """Yield the turns of all conversations; ids and sessions begin with the conversation's name."""
    for number, sample in enumerate(value):
        try:
            turns = locomo_turns(sample)
        except (InvalidInput, AttributeError, KeyError, TypeError, ValueError) as error:
            yield Item(f"{where}[{number}]", None, f"not a conversation of LoCoMo ({error!r})")
            continue
        name = sample["sample_id"]
        for turn in turns:
            place = f"{name}/{turn['id']}"
            yield Item(place, {**turn, "id": place, "session": f"{name}/{turn['session']}", "source": "locomo"})


def locomo_turns(sample: Mapping[str, Any]) -> list[Message]:
    """Return the turns of one conversation in order: id `D1:3`, session `session_1`, the caption of a photo in the text.

    LoCoMo dates sessions, not turns: all turns of one have its time, in UTC.
    """
    conversation = sample["conversation"]
    if not isinstance(conversation, Mapping):
        raise InvalidInput("'conversation' is not a dict of sessions")
    numbers = sorted(int(m[1]) for key in conversation if (m := re.fullmatch(r"session_(\d+)", key)))
    if not numbers:
        raise InvalidInput("'conversation' has no session")
    turns: list[Message] = []
    for number in numbers:
        session = f"session_{number}"
        at = datetime.strptime(conversation[session + "_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for turn in as_list(conversation[session], session):
            caption = turn.get("blip_caption")
            text = turn["text"] + (f" [shares a photo: {caption}]" if caption else "")
            turns.append(
                {"id": turn["dia_id"], "content": text, "speaker": turn["speaker"], "session": session, "at": at}
            )
    return turns


def is_beam(path: Path) -> bool:
    """Tell whether a folder is a chat of BEAM, or contains such folders."""
    return (path.is_dir() and any(path.glob("chat.json"))) or (path.is_dir() and any(path.glob("*/chat.json")))


def beam(path: Path) -> Iterator[Item]:
    """Yield the messages of a chat, or of all chats in a folder, whose ids and sessions then begin with its name."""
    if (path / "chat.json").is_file():
        for message in beam_messages(path):
            yield Item(f"{path.name}/{message['id']}", {**message, "source": "beam"})
        return
    for folder in sorted((f.parent for f in path.glob("*/chat.json")), key=lambda f: (len(f.name), f.name)):
        for message in beam_messages(folder):
            place = f"{folder.name}/{message['id']}"
            yield Item(
                place, {**message, "id": place, "session": f"{folder.name}/{message['session']}", "source": "beam"}
            )


def beam_messages(folder: Path) -> list[Message]:
    """Return the messages of one chat in order, each with the last date that its user named before it.

    Raises InvalidInput when chat.json is not as BEAM writes it.
    """
    path = folder / "chat.json"
    messages: list[Message] = []
    at = None
    try:
        batches = as_list(parse(decode(read_file(path, follow=False), str(path)), str(path)), "the file")
        for batch in batches:
            for message in (m for turn in as_list(batch["turns"], "turns") for m in as_list(turn, "a turn")):
                if message.get("time_anchor"):
                    at = datetime.strptime(message["time_anchor"], "%B-%d-%Y").replace(tzinfo=UTC)
                text, session = _GENERATED.sub("", message["content"]), f"batch_{batch['batch_number']}"
                messages.append(
                    {"id": str(message["id"]), "content": text, "role": message["role"], "session": session, "at": at}
                )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{path} is not a chat of BEAM ({error!r}). Nothing was imported.") from error
    return messages
