"""Tell what the files of an import are, and read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.transfer import benchmarks, chats
from mnemos.transfer.inputs import Member
from mnemos.transfer.notes import SUFFIXES, note
from mnemos.transfer.products import (
    calendar,
    chatgpt,
    claude,
    gemini,
    librechat,
    mail,
    mcp_memory,
    mem0,
    mnemos_jsonl,
    openwebui,
    slack,
    table,
    telegram,
    whatsapp,
)
from mnemos.transfer.report import FileReport, Problem
from mnemos.transfer.source import Read, Refused, decode, read_values, stable_id

Reader = Callable[[Any, str], Iterable[Read]]
# JSON formats: (name, is it this?, read it). The order matters: the last one takes any messages.
JSON_FORMATS: list[tuple[str, Callable[[Any], bool], Reader]] = [
    ("chatgpt", chatgpt.is_chatgpt, chatgpt.chatgpt),
    ("claude", claude.is_claude, claude.claude),
    ("claude", claude.is_claude_projects, claude.claude_projects),
    ("claude", claude.is_claude_memories, claude.claude_memories),
    ("librechat", librechat.is_librechat, librechat.librechat),
    ("open-webui", openwebui.is_openwebui, openwebui.openwebui),
    ("gemini", gemini.is_gemini, gemini.gemini),
    ("telegram", telegram.is_telegram, telegram.telegram),
    ("slack", slack.is_slack, slack.slack),
    ("locomo", benchmarks.is_locomo, benchmarks.locomo),
    ("mem0", mem0.is_mem0, mem0.mem0),
    ("mcp-memory", mcp_memory.is_mcp_memory, mcp_memory.mcp_memory),
    ("jsonl", mnemos_jsonl.is_jsonl, mnemos_jsonl.jsonl),
    ("chats", chats.is_chats, chats.chats),
]
FORMATS = tuple(
    dict.fromkeys(
        [
            "archive",
            *(name for name, _, _ in JSON_FORMATS),
            "beam",
            "whatsapp",
            "mail",
            "calendar",
            "table",
            "markdown",
            "text",
        ]
    )
)
JSON_SUFFIXES, HTML_SUFFIXES = (".json", ".jsonl", ".ndjson"), (".html", ".htm")
NOTES = ("markdown", "text")
TEXTS = (*NOTES, "whatsapp")
PLAIN = {
    **dict.fromkeys(mail.SUFFIXES, "mail"),
    calendar.SUFFIX: "calendar",
    **dict.fromkeys(table.SUFFIXES, "table"),
}
LOOSE = ("chats", "table")  # of no particular product: beside notes they are not read
BESIDE = "beside an export, not a part of it; import it by itself"


@dataclass(slots=True)
class Source:
    """A file whose format is known."""

    file: FileReport
    read: Iterable[Read]


def one(member: Member, path: Path, format: str | None) -> Source:
    """Return what a single file holds. Raises InvalidInput when it is damaged or of no known format."""
    if format in TEXTS or (format is None and member.suffix in SUFFIXES):
        shown = format or ("text" if member.suffix == ".txt" else "markdown")
        return _text(member, path.parent, shown, format, lambda n: (path.parent / n).exists())
    data = member.read()
    if (plain := _plain(member, data, format)) is not None:
        return plain
    if (
        _is_html(data)
        and (text := decode(data, member.name))
        and gemini.is_gemini_html(text)
        and format in (None, "gemini")
    ):
        return Source(FileReport(member.name, "gemini"), gemini.gemini_html(text, member.name))
    value, torn = read_values(data, str(path), member.name)
    name, reader, value = _match(value, format)
    if reader is None:
        wanted = format or f"any of {', '.join(FORMATS)}"
        raise InvalidInput(f"{path} is not {wanted}: it holds {_shown(value)}. Nothing was imported.")
    return Source(FileReport(member.name, name), [*torn, *reader(value, member.name)])


def several(found: list[Member], path: Path, format: str | None) -> list[Source]:
    """Return what the files of a folder or a zip hold: those of products, or chats as JSON, or notes.

    A stray note beside an export is not read, nor a stray JSON file beside notes. What is not read is told. Raises
    InvalidInput when nothing can be read.
    """
    sources: list[Source] = []
    loose: list[Source] = []  # chats of no particular product
    others: list[FileReport] = []
    notes = [m for m in found if m.suffix in SUFFIXES]
    names = slack.people(found)
    for member in found if format not in TEXTS else []:
        if member.suffix in SUFFIXES:
            continue
        try:
            source = _source(member, format, names)
        except Refused:
            raise
        except InvalidInput as error:
            others.append(FileReport(member.name, problems=[Problem(member.name, str(error))], read=1))
            continue
        if source is None:
            others.append(passed(member.name, "of no format that is known"))
        else:
            (loose if source.file.format in LOOSE and format is None else sources).append(source)
    if not sources and loose and (format in LOOSE or len(loose) >= len(notes)):
        sources, loose = loose, []
    others += [passed(source.file.name, BESIDE) for source in loose]
    if sources:
        others += [passed(member.name, BESIDE) for member in notes]
    elif format in (None, *TEXTS):
        beside = {m.name for m in notes}
        sources = [s for m in notes if (s := _try_text(m, path, format, beside, others)) is not None]
    if not sources:
        problem = next((p.what for file in others for p in file.problems), "")
        wanted = f"no {format}" if format else "no .md or .txt file, no chat of BEAM and no export that is known"
        raise InvalidInput(f"{path} holds {wanted}. {problem or 'Give one file, or a folder of notes.'}")
    return sources + [Source(file, []) for file in others]


def _source(member: Member, format: str | None, people: Mapping[str, str]) -> Source | None:
    """Return what a file holds; None when it is of no known format. `people` are those of a workspace of Slack."""
    if member.suffix in HTML_SUFFIXES and format in (None, "gemini"):
        text = decode(member.read(), member.name)
        if gemini.is_gemini_html(text):
            return Source(FileReport(member.name, "gemini"), gemini.gemini_html(text, member.name))
    if member.suffix in PLAIN and (plain := _plain(member, member.read(), format)) is not None:
        return plain
    if member.suffix not in JSON_SUFFIXES:
        return None
    value, torn = read_values(member.read(), member.name, member.name)
    name, reader, value = _match(value, format)
    if reader is slack.slack:
        return Source(FileReport(member.name, name), [*torn, *slack.slack(value, member.name, people)])
    return None if reader is None else Source(FileReport(member.name, name), [*torn, *reader(value, member.name)])


def _plain(member: Member, data: bytes, format: str | None) -> Source | None:
    """Return a file of mail, a calendar or a table, by its name or the `format` that is given; None for another one."""
    name = format or PLAIN.get(member.suffix) or ("mail" if mail.is_mbox(data) else None)
    if name == "mail":
        return Source(FileReport(member.name, name), list(mail.mail(data, member.name)))
    if name in ("calendar", "table"):
        read = calendar.calendar if name == "calendar" else table.table
        return Source(FileReport(member.name, name), list(read(decode(data, member.name), member.name)))
    return None


def passed(name: str, why: str) -> FileReport:
    """Return the report of a file that was passed over."""
    return FileReport(name, read=1, left_out=[Problem(name, why)])


def _try_text(
    member: Member, path: Path, format: str | None, beside: set[str], others: list[FileReport]
) -> Source | None:
    """Return a note or a chat of a folder or a zip; one that cannot be read costs that file only."""
    exists: Callable[[str], bool] = (lambda n: (path / n).exists()) if path.is_dir() else beside.__contains__
    try:
        return _text(member, path, "markdown", format, exists)
    except InvalidInput as error:
        if isinstance(error, Refused):
            raise
        others.append(FileReport(member.name, problems=[Problem(member.name, str(error))], read=1))
        return None


def _text(member: Member, root: Path, shown: str, format: str | None, exists: Callable[[str], bool]) -> Source:
    """Return a chat of WhatsApp, or a note, whose format is `shown`."""
    text = decode(member.read(), member.name)
    if format not in NOTES and member.suffix == ".txt" and whatsapp.is_whatsapp(text):
        return Source(FileReport(member.name, "whatsapp"), whatsapp.whatsapp(text, member.name))
    if format == "whatsapp":
        raise InvalidInput(
            f"{member.name} is no chat of WhatsApp: it does not begin with a time. Nothing was imported."
        )
    place = member.path.resolve() if member.path else f"{root.resolve()}/{member.name}"
    file = stable_id("file", place)
    return Source(FileReport(member.name, shown), [note(text, member.name, member.changed, file, exists)])


def _is_html(data: bytes) -> bool:
    return data[:1_000].lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def _match(value: Any, format: str | None) -> tuple[str, Reader | None, Any]:
    """Return the format of a JSON value, what reads it, and what to give to that."""
    for value_or_list in (
        [value, [value]] if isinstance(value, dict) else [value]
    ):  # one conversation, or JSONL of one line
        for name, fits, reader in JSON_FORMATS:
            if format in (None, name) and fits(value_or_list):
                return name, reader, value_or_list
    return "", None, value


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return f"a {type(value).__name__}"
    first = next((v for v in value if isinstance(v, dict)), None)
    return f"a list of {len(value):,}" + (f" with keys {', '.join(sorted(map(str, first))[:8])}" if first else "")
