"""Tables as CSV or TSV with a header: each row is one memory, its columns found by their names.

A column of texts (text, content, message, note, ...) is what is remembered, those of a time, a sender, a role, a session
and an id are what they say, and the others are kept as metadata. Without a column of texts a row is told as a whole:
"name: Rita; town: Porto".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from mnemos.errors import InvalidInput
from mnemos.transfer.roles import NOTE, known_role
from mnemos.transfer.source import Conversation, Item, Message, Read
from mnemos.transfer.times import NAMES, time_of

SOURCE = "table"
SUFFIXES = (".csv", ".tsv")
LONGEST = 1_000_000  # characters of a cell
_TEXT = (
    "text", "content", "message", "body", "note", "notes", "memory", "memo", "entry", "comment", "description", "value",
)  # fmt: skip
_WHO = ("speaker", "sender", "from", "author", "user", "username", "who")
_SESSION = (
    "session", "session_id", "conversation", "conversation_id", "thread", "thread_id", "chat", "chat_id", "channel",
)  # fmt: skip
_ID = ("id", "uuid", "message_id", "key")


def table(text: str, where: str) -> Iterator[Read]:
    """Yield the rows of a table, by session. Raises InvalidInput for one without a header of two names, or a torn quote."""
    csv.field_size_limit(LONGEST)
    text = text.lstrip("\ufeff")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    found: dict[str, Conversation] = {}
    try:
        header = [name.strip() for name in next(rows, [])]
        names = [name.casefold().replace(" ", "_") for name in header]
        if len(set(filter(None, names))) < 2:
            raise InvalidInput(
                f"{where} has no header of at least two columns: its first line must name them, such as 'date,text'. "
                "Nothing was imported."
            )
        for cells in rows:
            place = f"{where}:{rows.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            session, item = _row(header, names, cells, place)
            found.setdefault(
                session, Conversation(where, SOURCE, session or None, [], session=bool(session))
            ).items.append(item)
    except csv.Error as error:
        raise InvalidInput(f"{where}:{rows.line_num} is no row of a table ({error}). Nothing was imported.") from error
    yield from found.values()


def _delimiter(text: str) -> str:
    """Return what stands between the names of the header."""
    first = text[:10_000].lstrip("\r\n").partition("\n")[0]
    return max(",;\t|", key=first.count)


def _row(header: list[str], names: list[str], cells: list[str], place: str) -> tuple[str, Item]:
    """Return the session of a row, and the row."""
    if len(cells) != len(names):
        return "", Item(place, None, f"it has {len(cells)} cells, and the header {len(names)}")
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
    text = _first(row, _TEXT)
    who, role = _first(row, _WHO), known_role(row.get("role", ""))
    if role is None and known_role(who):
        role, who = known_role(who), ""
    told = {n: c for n, c in row.items() if n in NAMES}
    known = {*told, *_ID}
    if text:
        known |= {next((n for n in kinds if n in row), "") for kinds in (_TEXT, _WHO, _SESSION)} | {"role"}
    other = {h: row[n] for h, n in zip(header, names, strict=True) if n in row and n not in known}
    content = text or "; ".join(f"{name}: {value}" for name, value in other.items())
    if not content:
        return "", Item(place, None, left_out="no text")
    message: Message = {
        "id": _first(row, _ID) or None, "content": content, "kind": "turn" if who or role else "note",
        "role": role or (None if who and text else NOTE), "at": time_of(told), "source": SOURCE,
        "metadata": other if text else {},
    }  # fmt: skip
    if who and text:
        message["speaker"] = who[:1_000]
    return _first(row, _SESSION)[:1_000] if text else "", Item(place, message)


def _first(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if name in row), "")
