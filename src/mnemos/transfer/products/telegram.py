"""Telegram Desktop's export as JSON (result.json): one chat, or all of an account.

A chat is a conversation of people: each message is its sender's, and only those of the account's owner, where the export says
who that is, are the user's. What was forwarded is somebody else's words, whoever passed it on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemos.transfer.roles import DOCUMENT, USER
from mnemos.transfer.source import LOOK, Conversation, Item, Message, Read, dicts
from mnemos.transfer.times import time_of

SOURCE = "telegram"
UNKNOWN = "Deleted Account"  # as Telegram shows a sender who is gone
_MEDIA = ("photo", "file", "media_type", "poll", "contact_information", "location_information", "game_title")


def is_telegram(value: Any) -> bool:
    """Tell whether a JSON value is a chat that Telegram exported, or an account with its chats."""
    return any(_is_chat(chat) for _, chat in _chats(value))


def telegram(value: Any, where: str) -> Iterator[Read]:
    """Yield every chat; notices, and messages of which only a picture or a file remains, are left out."""
    owner = dicts(value, "personal_information").get("user_id")  # of an account's export alone
    for place, chat in _chats(value):
        messages = chat.get("messages") if isinstance(chat, Mapping) else None
        if not isinstance(messages, list):
            yield Item(f"{where}{place}", None, "no list of messages")
            continue
        items = [_item(m, f"{where}{place}.messages[{i}]", chat, owner) for i, m in enumerate(messages)]
        name = chat.get("id")
        yield Conversation(f"{where}{place}", SOURCE, None if name is None else f"{SOURCE}-{name}", items)


def _chats(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the chats of a value, each with its place."""
    if isinstance(value, Mapping) and "messages" in value:
        yield "", value
    elif not isinstance(value, Mapping):
        return
    for key in ("chats", "left_chats"):
        found = dicts(value, key).get("list")
        for i, chat in enumerate(found if isinstance(found, list) else []):
            yield f".{key}.list[{i}]", chat


def _is_chat(chat: Any) -> bool:
    messages = chat.get("messages") if isinstance(chat, Mapping) else None
    found = [m for m in messages[:LOOK] if isinstance(m, Mapping)] if isinstance(messages, list) else []
    said = [m for m in found if "date" in m and m.get("type") in ("message", "service")]
    return any(m.keys() & {"date_unixtime", "from_id", "actor_id"} for m in said)


def _item(message: Any, place: str, chat: Mapping[str, Any], owner: Any) -> Item:
    if not isinstance(message, Mapping):
        return Item(place, None, f"expected a message, got {type(message).__name__}")
    if message.get("type") == "service":
        return Item(place, None, left_out="a notice of Telegram")
    text = _text(message.get("text"))
    if text is None:
        return Item(place, None, "its text is neither a text nor a list of its parts")
    media = next((key.removesuffix("_type") for key in _MEDIA if message.get(key)), "")
    if not text.strip():
        return Item(place, None, left_out=f"no text ({media})" if media else "no text")
    forwarded = "forwarded_from" in message
    sender = message.get("forwarded_from") if forwarded else message.get("from")
    mine = owner is not None and message.get("from_id") in (owner, f"user{owner}")
    said: Message = {
        "id": None if message.get("id") is None else str(message["id"]), "content": text, "kind": "turn",
        "speaker": str(sender or UNKNOWN)[:1_000], "role": DOCUMENT if forwarded else USER if mine else None,
        "at": time_of({"at": message.get("date_unixtime"), "date": message.get("date")}), "source": SOURCE,
        "metadata": {"chat": chat["name"]} if isinstance(chat.get("name"), str) else {},
    }  # fmt: skip
    return Item(place, said, remark=f"without {media}" if media else "")


def _text(value: Any) -> str | None:
    """Return a text, which is split where it is bold, a link, ...; None where it is none."""
    parts = value if isinstance(value, list) else [value or ""]
    given = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    texts = [text for text in given if isinstance(text, str)]
    return "".join(texts) if len(texts) == len(given) else None
