"""Export a space as Markdown for reading: one page a session, in which nothing is live.

Stored text can be anybody's. On a page it is quoted, every "<" and every "&" that begins an entity is escaped, and the
brackets of links and pictures are taken apart: no HTML, no script, no link and nothing that is loaded from elsewhere is left,
in code blocks too. `inert` is reversible; `text_of` gives the words back when a page is imported as a note.
"""

from __future__ import annotations

import re
from pathlib import Path

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput, StoreError
from mnemos.store.names import file_stem
from mnemos.transfer.base import Exported, Progress
from mnemos.transfer.write import check_free, new_file

MARK = "mnemos-export"  # in the front matter of a page: its text is escaped
_FRONT = f"---\n{MARK}: 1\n---\n\n"
_ENTITY = re.compile(r"&(?=#|\w)")
_BRACKET = re.compile(r"\](?=[(:])")  # of a link, a picture, or the definition of one
_TAKEN_APART = re.compile(r"\](\\+)(?=[(:])")


def export_markdown(space: Exported, folder: Path, *, overwrite: bool = False, progress: Progress | None = None) -> int:
    """Write a file a session into `folder`, its turns in time order; return the number of cubes.

    The files are for reading: versions and vectors are not in them. A stored text is quoted and inert, so that it can
    neither look like a turn nor run. Raises InvalidInput when a file exists and `overwrite` is not set, or when the folder or
    a file is a link, before anything is written; StoreError when the folder cannot be written.
    """
    sessions: dict[str, list[MemCube]] = {}
    for cube in space.cubes(limit=1_000):
        sessions.setdefault(cube.session or "", []).append(cube)
        if progress:
            progress(1)
    pages = {folder / f"{file_stem(name) if name else 'no-session'}.md": name for name in sessions}
    if folder.is_symlink():
        raise InvalidInput(f"{folder} is a link, which an export does not follow. Give the folder that it leads to.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder} ({error.strerror}). Choose a folder that you may write to."
        ) from error
    for path in pages:
        check_free(path, overwrite=overwrite)
    for path, name in pages.items():
        with new_file(path, overwrite=overwrite) as file:
            file.write(_page(name, sessions[name]).encode("utf-8", "replace"))
    return sum(map(len, sessions.values()))


def inert(text: str) -> str:
    """Return a text that Markdown shows as it is, without HTML, links or pictures."""
    text = _TAKEN_APART.sub(lambda match: "]" + "&#92;" * len(match[1]), _ENTITY.sub("&amp;", text))
    return _BRACKET.sub(r"]\\", text.replace("<", "&lt;"))


def text_of(page: str) -> str:
    """Return the text of which `inert` made this."""
    page = re.sub(r"\]\\(?=[(:])", "]", page)
    return page.replace("&#92;", "\\").replace("&lt;", "<").replace("&amp;", "&")


def _page(session: str, cubes: list[MemCube]) -> str:
    parts = [f"{_FRONT}# {_line(session or 'Without a session')}\n"]
    for cube in sorted(cubes, key=lambda c: (c.at, c.learned)):
        who = _line(cube.speaker or cube.role or cube.kind)
        quoted = "\n".join("> " + inert(line) for line in cube.text.splitlines())
        parts.append(f"**{who}**, {cube.at:%Y-%m-%d %H:%M} `{_line(cube.id).replace('`', chr(39))}`\n\n{quoted}\n")
    return "\n".join(parts)


def _line(text: str) -> str:
    return inert(" ".join(text.split()))
