"""Cut a text in Markdown into sections under its headings, and never within a row, an item or fenced code."""

from __future__ import annotations

import re
from collections.abc import Iterator

SECTION = 1_000  # characters that blocks of one heading are packed up to
MAX_CODE = 20_000  # of one fenced block that stays whole
_HEADING = re.compile(r"(#{1,6})[^\S\n]+(.*)")
_ROW = re.compile(r"\s{0,3}\|")
_RULE = re.compile(r"[\s:|-]+")  # the line under the names of a table's columns
_ITEM = re.compile(r"\s{0,12}(?:[-*+]|\d{1,9}[.)])\s")


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield (heading path, text): blocks under one heading, packed.

    A longer block is cut: a table between its rows, each piece with the names of the columns; a list between its items;
    other text between lines or words. Fenced code stays whole up to 20,000 characters.
    """
    path: list[tuple[int, str]] = []
    packed: list[str] = []
    bare = False  # the last heading has had no text yet
    for block in _blocks(text):
        heading = _HEADING.fullmatch(block)
        size = sum(map(len, packed)) + len(block)
        if packed and (heading or size > SECTION):
            yield " > ".join(t for _, t in path), "\n\n".join(packed)
            packed = []
        if heading:
            level, title = len(heading[1]), heading[2].rstrip().rstrip("#").rstrip()
            if bare and level <= path[-1][0] and path[-1][1]:  # else the heading would be lost: it becomes a note
                yield " > ".join(t for _, t in path[:-1]), path[-1][1]
            path, bare = [*((n, t) for n, t in path if n < level), (level, title)], True
        else:
            bare = False
            *whole, rest = _pieces(block)
            for piece in whole:
                yield " > ".join(t for _, t in path), piece
            packed.append(rest)
    if packed:
        yield " > ".join(t for _, t in path), "\n\n".join(packed)
    if bare and path[-1][1]:
        yield " > ".join(t for _, t in path[:-1]), path[-1][1]


def _blocks(text: str) -> Iterator[str]:
    """Yield headings and paragraphs; blank lines inside fenced code do not end one."""
    block: list[str] = []
    fence = ""
    for line in [*text.splitlines(), ""]:
        mark = line.lstrip()[:3]
        if fence:
            block.append(line)
            fence = "" if mark == fence else fence
        elif mark in ("```", "~~~"):
            block.append(line)
            fence = mark
        elif _HEADING.fullmatch(line.strip()) or not line.strip():
            if block:
                yield "\n".join(block)
            block = []
            if line.strip():
                yield line.strip()
        else:
            block.append(line)
    if block:
        yield "\n".join(block)


def _pieces(block: str) -> list[str]:
    """Cut a block of more than 1,000 characters where it can be cut: see `sections`."""
    if len(block) <= SECTION:
        return [block]
    pieces: list[str] = []
    head = ""  # of the table that is being read
    for kind, lines in _units(block.split("\n")):
        unit = "\n".join(lines)
        cut = _prose(unit) if kind == "prose" else _fenced(lines) if len(unit) > MAX_CODE and kind == "code" else [unit]
        head = unit if kind == "head" else head if kind == "row" else ""
        for part in cut:
            if pieces and len(pieces[-1]) + len(part) < SECTION:
                pieces[-1] += "\n" + part
            else:
                pieces.append(f"{head}\n{part}" if head and kind == "row" else part)
    return pieces


def _units(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what must stay together: the head of a table, a row, an item of a list, fenced code; and prose."""
    kind, unit, fence = "prose", list[str](), ""
    for i, line in enumerate(lines):
        mark = line.lstrip()[:3]
        if fence or (kind == "head" and len(unit) == 1):  # in code, or the rule under the names of the columns
            unit.append(line)
            fence = "" if mark == fence else fence
            continue
        new = _kind(line, lines[i + 1] if i + 1 < len(lines) else "", kind)
        fence = mark if new == "code" else ""
        goes_on = new == kind and (new == "prose" or (new == "item" and not _ITEM.match(line)))
        if unit and not goes_on:
            yield kind, unit
            unit = []
        kind = new
        unit.append(line)
    if unit:
        yield kind, unit


def _kind(line: str, following: str, before: str) -> str:
    """Return what a line begins or goes on with."""
    if line.lstrip()[:3] in ("```", "~~~"):
        return "code"
    if "|" in line and "-" in following and _RULE.fullmatch(following[:SECTION]):
        return "head"
    if _ROW.match(line) or (before in ("head", "row") and "|" in line):
        return "row"
    if _ITEM.match(line) or (before == "item" and line[:1].isspace()):
        return "item"
    return "prose"


def _fenced(lines: list[str]) -> list[str]:
    """Cut code between its lines, with a fence around each piece."""
    mark = lines[0].lstrip()[:3]
    inside = lines[1:-1] if len(lines) > 1 and lines[-1].strip().startswith(mark) else lines[1:]
    pieces: list[str] = []
    for line in inside:
        if pieces and len(pieces[-1]) + len(line) < MAX_CODE:
            pieces[-1] += "\n" + line
        else:
            pieces.append(line)
    return [f"{lines[0]}\n{piece}\n{mark}" for piece in pieces]


def _prose(block: str) -> list[str]:
    """Cut a paragraph at line ends or spaces."""
    pieces, begin = [], 0
    while len(block) - begin > SECTION:
        low, high = begin + SECTION // 2, begin + SECTION
        cut = max(block.rfind("\n", low, high), block.rfind(" ", low, high))
        cut = cut + 1 if cut > 0 else high
        pieces.append(block[begin:cut].rstrip())
        begin = cut
    return [*(p for p in pieces if p.strip()), block[begin:]]
