"""Put back a damaged page that describes the tables of a file, from a new file that has the same ones.

The descriptions of all tables and indexes need more room than the first page has. A file that this version made keeps them
where every new file has them, byte for byte, since nothing but a migration changes them.
"""

from __future__ import annotations

from pathlib import Path

from mnemos.store.sqlite import birth

PAGE = 4096
_HEAD = 100  # bytes before the tree in the first page: counters, which change
_INNER = 5  # the kind of a page that points to others


def graft(path: Path) -> None:
    """Write the pages of the schema that are damaged as a new file has them; nothing where that would be a guess.

    It is none where the first page points to the same pages as that of a new file, and one of them is the same.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        birth.make(new, "")
        sound = new.read_bytes()
    finally:
        new.unlink(missing_ok=True)
    with path.open("r+b") as file:
        first = file.read(PAGE)
        if sound[_HEAD] != _INNER or first[_HEAD:] != sound[_HEAD:PAGE]:
            return
        at = [(n - 1) * PAGE for n in _children(first)]
        pages = {a: sound[a : a + PAGE] for a in at}
        wrong = [a for a, page in pages.items() if file.seek(a) == a and file.read(PAGE) != page]
        if len(wrong) < len(at):
            for a in wrong:
                file.seek(a)
                file.write(pages[a])


def _children(page: bytes) -> list[int]:
    """Return the numbers of the pages that the first page points to."""
    count = int.from_bytes(page[_HEAD + 3 : _HEAD + 5])
    table = _HEAD + 12
    cells = [int.from_bytes(page[i : i + 2]) for i in range(table, table + 2 * count, 2)]
    return [int.from_bytes(page[c : c + 4]) for c in (*cells, _HEAD + 8)]
