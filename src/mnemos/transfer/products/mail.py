"""Mail: a box of messages (mbox, as Gmail's Takeout, Thunderbird and Apple Mail write it) or one message (eml).

A thread is a session, the sender the speaker. What others wrote is a document of theirs from outside, which is withheld from
prompts where it gives orders. Attachments are left out, and what a mail quotes is its writer's neither here nor in a search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses

from mnemos.errors import InvalidInput
from mnemos.transfer.html_text import html_text
from mnemos.transfer.roles import DOCUMENT
from mnemos.transfer.source import Conversation, Item, Message, Read
from mnemos.transfer.times import time_of

SOURCE = "mail"  # of one's own; the others' is "mailto:" and their address
SUFFIXES = (".mbox", ".eml")
_FROM = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\n]*\n")
_ID = re.compile(r"<([^<>\s]+)>")


def is_mbox(data: bytes) -> bool:
    """Tell whether bytes begin like a box of mail."""
    return _FROM.match(data) is not None


def mail(data: bytes, where: str) -> Iterator[Read]:
    """Yield the threads, each a conversation. Raises InvalidInput for what holds no message."""
    threads: dict[str, Conversation] = {}
    cuts = [m.span() for m in _FROM.finditer(data)]
    ends = [*(start for start, _ in cuts[1:]), len(data)]
    parts = [data[begin:end] for (_, begin), end in zip(cuts, ends, strict=True)] if cuts else [data]
    if not cuts and not re.match(rb"[\w-]+:[ \t]", data):
        raise InvalidInput(
            f"{where} is no mail: it begins with no header. Export it as mbox or eml. Nothing was imported."
        )
    for number, part in enumerate(parts, 1):
        place = f"{where}[{number}]"
        try:
            found = message_from_bytes(part, policy=policy.default)
            thread, item = _item(found, place)
        except Exception as error:  # the parser of headers raises many kinds for damaged ones
            yield Item(place, None, f"it cannot be read ({type(error).__name__}: {error!s:.80})")
            continue
        chat = threads.setdefault(thread, Conversation(where, SOURCE, thread or None, [], session=bool(thread)))
        chat.items.append(item)
    yield from threads.values()


def _item(found: EmailMessage, place: str) -> tuple[str, Item]:
    """Return the thread of a message, and the message."""
    ids = _ID.findall(f"{found.get('References', '')} {found.get('In-Reply-To', '')} {found.get('Message-ID', '')}")
    thread = f"{SOURCE}-{ids[0]}"[:500] if ids else ""
    own = next(iter(_ID.findall(str(found.get("Message-ID", "")))), None)
    text, left = _text(found), sum(1 for _ in found.iter_attachments()) if found.is_multipart() else 0
    subject = " ".join(str(found.get("Subject", "")).split())
    body = f"{subject}\n\n{text}".strip() if subject else text
    if not body:
        return thread, Item(place, None, left_out="no text")
    name, address = next(iter(getaddresses([str(found.get("From", ""))])), ("", ""))
    to = [a for _, a in getaddresses([str(v) for key in ("To", "Cc") for v in found.get_all(key, [])]) if a]
    message: Message = {
        "id": own, "content": body, "kind": "turn", "speaker": (name or address or "unknown")[:1_000], "role": DOCUMENT,
        "source": f"mailto:{address}" if address else "mailto:unknown", "at": _moment(found),
        "metadata": {k: v for k, v in (("subject", subject), ("from", address), ("to", to)) if v},
    }  # fmt: skip
    return thread, Item(place, message, remark="an attachment" if left else "")


def _text(found: EmailMessage) -> str:
    part = found.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except LookupError:  # a charset that nobody knows
        text = bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")
    return (html_text(text) if part.get_content_subtype() == "html" else text).strip()


def _moment(found: EmailMessage) -> datetime | None:
    at = getattr(found.get("Date"), "datetime", None)
    return time_of({"at": at.isoformat()}) if isinstance(at, datetime) else None
