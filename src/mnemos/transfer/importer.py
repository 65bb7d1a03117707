"""Import: tell what a file is, read it, and store it in one transaction."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.text.encode.messages import to_draft
from mnemos.transfer import benchmarks, chats, markdown, products
from mnemos.transfer.archive import is_archive, read_archive
from mnemos.transfer.base import ImportTarget, Progress
from mnemos.transfer.source import Item, decode, open_zip, parse, parse_lines, read_bytes, read_member

# JSON formats: name to (is it this?, read it). The order matters: the last one takes any messages.
JSON_FORMATS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, str], Iterable[Item]]]] = {
    "chatgpt": (products.is_chatgpt, products.chatgpt),
    "claude": (products.is_claude, products.claude),
    "locomo": (benchmarks.is_locomo, benchmarks.locomo),
    "mem0": (products.is_mem0, products.mem0),
    "mcp-memory": (products.is_mcp_memory, products.mcp_memory),
    "chats": (chats.is_chats, chats.chats),
}
_CONVERSATIONS = re.compile(r"conversations(?:-\d+)?\.json")
ERASED = "it was erased from this space, and stays so unless restore_erased (--restore-erased) is given"
FORMATS = ("archive", *JSON_FORMATS, "beam", "markdown", "text")


@dataclass(frozen=True, slots=True)
class Problem:
    """One message that was not imported, and why."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class ImportReport:
    """What an import did. `read` counts messages with a text, `skipped` those that were there already."""

    format: str
    read: int = 0
    added: int = 0
    skipped: int = 0
    problems: list[Problem] = field(default_factory=list)


def import_path(
    space: ImportTarget,
    path: Path,
    *,
    format: str | None = None,
    restore_erased: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a file or a folder into a space; importing it again adds nothing.

    The format is detected from the content unless `format` names it. A damaged file or an unknown format raises
    InvalidInput and nothing is stored. The report's `problems` list the messages that cannot be imported, and why; all
    others are stored in one transaction. What was erased from this space is a problem too and is not imported, unless
    `restore_erased`. `progress` gets the number of texts embedded.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise InvalidInput(f"unknown format {format!r}: use one of {', '.join(FORMATS)}.")
    try:
        exists = path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a null byte
        exists = False
    if not exists:
        raise InvalidInput(f"{path} does not exist. Give a file or a folder.")
    if path.is_file() and (format == "archive" or (format is None and is_archive(path))):
        return _restore(space, read_archive(path), restore_erased, progress)
    name, items = _open(path, format)
    return _store(space, name, items, restore_erased, progress)


def _restore(
    space: ImportTarget, records: list[dict[str, Any]], restore_erased: bool, progress: Progress | None
) -> ImportReport:
    report = ImportReport("archive", len(records))
    if not restore_erased:
        ids = [r["cube"]["id"] for r in records]
        erased = space.store.was_erased(ids) - space.store.get(ids).keys()
        report.problems = [Problem(name, ERASED) for name in sorted(erased)]
        records = [r for r, name in zip(records, ids, strict=True) if name not in erased]
    report.added, report.skipped = space.restore(records, progress=progress)
    return report


def _open(path: Path, format: str | None) -> tuple[str, Iterable[Item]]:
    if path.is_dir():
        if format == "beam" or (format is None and benchmarks.is_beam(path)):
            return "beam", benchmarks.beam(path)
        if format in (None, "markdown", "text") and markdown.note_files(path):
            return "markdown", markdown.notes(path)
        raise InvalidInput(
            f"{path} holds no .md or .txt file and no chat of BEAM. Give one file, or a folder of notes."
        )
    if format in ("markdown", "text") or (format is None and markdown.note_files(path)):
        return "markdown" if path.suffix != ".txt" else "text", markdown.notes(path)
    if zipfile.is_zipfile(path):
        return _match(_in_zip(path), path, format)
    return _match(_values(decode(read_bytes(path), str(path)), str(path)), path, format)


def _values(text: str, where: str) -> Any:
    """Return the JSON value of a text, or the list of its lines' values when it is JSONL."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    if not first:
        raise InvalidInput(f"{where} is empty. There is nothing to import.")
    if first.lstrip()[0] not in "[{":
        raise InvalidInput(
            f"{where} begins with {first.strip()[:20]!r}: not JSON. Known formats: {', '.join(FORMATS)}."
        )
    try:
        return parse(text, where)
    except InvalidInput:
        if not _is_whole(first):  # one JSON value that is damaged
            raise
        return [value for _, value in parse_lines(text, where)]


def _is_whole(line: str) -> bool:
    """Tell whether a line is a complete JSON value, as every line of JSONL is."""
    try:
        parse(line, "")
    except InvalidInput:
        return False
    return True


def _in_zip(path: Path) -> Any:
    """Return the value of conversations.json; large accounts have several, all of them lists."""
    with open_zip(path) as archive:
        names = sorted(n for n in set(archive.namelist()) if _CONVERSATIONS.fullmatch(n.rsplit("/", 1)[-1]))
        if not names:
            raise InvalidInput(
                f"{path} has no conversations.json and no {FORMATS[0]} manifest: not an export that is known."
            )
        values = [_values(decode(read_member(archive, n, str(path)), n), f"{path.name}/{n}") for n in names]
    if len(values) == 1:
        return values[0]
    if not all(isinstance(value, list) for value in values):
        raise InvalidInput(f"{path} has {', '.join(names)}, and not all are lists. Unpack it and import each.")
    return [conversation for value in values for conversation in value]


def _match(value: Any, path: Path, format: str | None) -> tuple[str, Iterable[Item]]:
    names = [format] if format is not None else list(JSON_FORMATS)
    for one in [value, [value]] if isinstance(value, dict) else [value]:  # a single conversation, or JSONL of one line
        for name in names:
            if name in JSON_FORMATS and JSON_FORMATS[name][0](one):
                return name, JSON_FORMATS[name][1](one, path.name)
    seen = f"a list of {len(value):,}" if isinstance(value, list) else f"a {type(value).__name__}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        seen += f" with keys {', '.join(sorted(map(str, value[0]))[:8])}"
    wanted = f"{format}" if format else f"any of {', '.join(FORMATS)}"
    raise InvalidInput(f"{path} is not {wanted}: it holds {seen}. Nothing was imported.")


def _store(
    space: ImportTarget, name: str, items: Iterable[Item], restore_erased: bool, progress: Progress | None
) -> ImportReport:
    report = ImportReport(name)
    messages: dict[str, tuple[str, dict[str, Any]]] = {}
    texts: dict[str, str] = {}
    for item in items:
        report.read += 1
        if item.message is None:
            report.problems.append(Problem(item.where, item.problem))
            continue
        try:
            draft = to_draft(item.message, where=item.where)
        except InvalidInput as error:
            report.problems.append(Problem(item.where, str(error).removeprefix(f"{item.where}: ")))
            continue
        key = draft.id or item.where
        if key in messages and texts[key] != draft.text:
            report.problems.append(
                Problem(item.where, f"id {key!r} is used twice with different texts; the first was taken")
            )
        elif key in messages:
            report.skipped += 1
        else:
            messages[key], texts[key] = (item.where, item.message), draft.text
    if not report.read:
        report.problems.append(Problem(name, "no message was found in it"))
    known = space.store.get(list(messages))
    for key in known:
        where, _ = messages[key]
        if texts[key] in {version.text for version in space.store.versions(key)}:
            report.skipped += 1
        else:
            report.problems.append(
                Problem(where, f"id {key!r} is already there with another text; it was left as it is")
            )
    erased = set() if restore_erased else space.store.was_erased(list(messages)) - known.keys()
    report.problems += [Problem(messages[key][0], ERASED) for key in messages if key in erased]
    new = [message for key, (_, message) in messages.items() if key not in known and key not in erased]
    report.added = len(space.add_many(new, progress=progress))
    return report
