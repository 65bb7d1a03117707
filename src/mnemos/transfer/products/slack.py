"""Slack's export of a workspace: users.json, and a file of messages for each day in the folder of a channel.

A day of a channel is a session. People are named as users.json, or the message, names them; a bot is a tool.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.transfer.inputs import Member
from mnemos.transfer.roles import TOOL
from mnemos.transfer.source import LOOK, Conversation, Item, Message, Read, dicts, read_values
from mnemos.transfer.times import time_of

SOURCE = "slack"
_SAID = (None, "", "thread_broadcast", "me_message", "file_share", "bot_message", "reply_broadcast")
_LINK = re.compile(r"<(?P<what>[^<>|]+)(?:\|(?P<label>[^<>]*))?>")


def is_slack(value: Any) -> bool:
    """Tell whether a JSON value is a day of a channel."""
    rows = [m for m in value[:LOOK] if isinstance(m, Mapping)] if isinstance(value, list) else []
    return any(
        m.get("type") == "message" and isinstance(m.get("ts"), str) and (m.keys() & {"user", "bot_id"}) for m in rows
    )


def people(found: Sequence[Member]) -> dict[str, str]:
    """Return the names of people by their ids, as users.json beside the channels has them."""
    names: dict[str, str] = {}
    for member in found:
        if PurePosixPath(member.name).name != "users.json":
            continue
        try:
            users, _ = read_values(member.read(), member.name, member.name)
        except InvalidInput:  # reading it for itself says so
            continue
        for user in users if isinstance(users, list) else []:
            if isinstance(user, Mapping) and isinstance(user.get("id"), str) and (name := _name(user)):
                names[user["id"]] = name
    return names


def slack(value: Any, where: str, names: Mapping[str, str] | None = None) -> Iterator[Read]:
    """Yield the messages of a day. Notices (who joined, a new topic, ...) and what was deleted are left out."""
    channel = PurePosixPath(where).parent.name
    items = [_item(m, f"{where}[{i}]", channel, names or {}) for i, m in enumerate(value)]
    yield Conversation(where, SOURCE, f"{SOURCE}-{channel}-{PurePosixPath(where).stem}", items)


def _item(message: Any, place: str, channel: str, names: Mapping[str, str]) -> Item:
    if not isinstance(message, Mapping) or message.get("type") != "message":
        return Item(place, None, "not a message")
    if message.get("subtype") not in _SAID:
        return Item(place, None, left_out=f"a notice of Slack ({message['subtype']!s:.40})")
    if not isinstance(message.get("text") or "", str):
        return Item(place, None, f"its text is {type(message['text']).__name__}")
    text = html.unescape(_LINK.sub(lambda m: _linked(m, names), message.get("text") or ""))
    files = "file" if message.get("files") else ""
    if not text.strip():
        return Item(place, None, left_out=files or "no text")
    user = str(message.get("user") or message.get("bot_id") or "")
    bot = message.get("subtype") == "bot_message" or not message.get("user")
    name = message.get("username") if bot else names.get(user) or _name(dicts(message, "user_profile"))
    said: Message = {
        "id": str(message["ts"]) if message.get("ts") else None, "content": text, "kind": "turn",
        "speaker": str(name or user or "unknown")[:1_000], "role": TOOL if bot else None,
        "at": time_of({"at": message.get("ts")}), "source": SOURCE, "metadata": {"channel": channel} if channel else {},
    }  # fmt: skip
    return Item(place, said, remark=files)


def _name(user: Mapping[str, Any]) -> str:
    """Return how a person is called: the name shown, else the real one, else the account's."""
    profile = dicts(user, "profile")
    given = (row.get(key) for row in (profile, user) for key in ("display_name", "real_name", "name"))
    return next((name for name in given if isinstance(name, str) and name.strip()), "")


def _linked(match: re.Match[str], names: Mapping[str, str]) -> str:
    """Return a mention or a link as a reader sees it."""
    what, label = match["what"], match["label"]
    if what.startswith("@"):
        return f"@{label or names.get(what[1:], what[1:])}"
    if what.startswith(("#", "!")):
        return f"{'#' if what[0] == '#' else '@'}{label or what[1:]}"
    return f"{label} ({what})" if label and label != what else what
