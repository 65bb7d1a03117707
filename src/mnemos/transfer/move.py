"""Move an installation: copy every space of a root to another one, with the keys and conversations of its servers.

The source is read and never changed. Each space is read at one moment, copied in batches, compared by digests of all its
tables, and seen in its new place only then. What was killed goes on where it was; what is there already is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mnemos.errors import Conflict, StoreError
from mnemos.location import Location
from mnemos.store import copying
from mnemos.store.base import Store
from mnemos.store.copying import Digests, Mark
from mnemos.store.open import Root, open_chats, open_keys, secret_of
from mnemos.store.server import SERVER

Step = Callable[[str, int], None]  # takes what is done, and how many rows more of it


@dataclass(frozen=True, slots=True)
class MovedSpace:
    """A space in its new place: what was done, how many rows of each table it has, and that they were compared."""

    space: str
    done: Literal["copied", "copied again", "there already"]
    rows: dict[str, int]

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.rows.values())


def check(source: Root, target: Root) -> list[str]:
    """Return the names of the spaces to move. Raises StoreError when one cannot be read, before anything is written."""
    found = source.inventory()
    if problems := [space.problem for space in found if space.name is None]:
        raise StoreError(f"not all spaces can be read, and nothing was moved: {'; '.join(problems[:3])}")
    target.check()
    return sorted(space.name for space in found if space.name is not None)


def move(source: Root, target: Root, step: Step = lambda what, rows: None) -> Iterator[MovedSpace]:
    """Copy all spaces, one after the other; yield each when it is in its place.

    First all that exist in the target are compared: Conflict is raised before anything is written when one has another
    content and was written to since it was moved there. Costs two passes over the source and one over the target.
    """
    names = check(source, target)
    wanted: dict[str, Digests] = {}
    for name in names:
        if target.exists(name):
            wanted[name] = _comparable(source, target, name, step)
    for name in names:
        yield _move(source, target, name, wanted.get(name), step)


@contextmanager
def _reading(root: Root, name: str) -> Iterator[Store]:
    with closing(root.open(name)) as store, store.transaction(write=False):
        yield store


def _comparable(source: Root, target: Root, name: str, step: Step) -> Digests:
    """Return the digests of a space that exists in the target too. Raises Conflict when it may not be replaced."""
    with _reading(source, name) as store:
        wanted = copying.digests_of(store, lambda rows: step(f"comparing {name}", rows))
    with _reading(target, name) as there:
        found = copying.digests_of(there, lambda rows: step(f"comparing {name}", rows))
        if found not in (wanted, copying.moved(there)):
            raise Conflict(
                f"the space {name!r} exists in the target with another content ({_difference(wanted, found)}). Nothing was "
                "moved. Move it away there (`mnemos backup`, then remove it), or move into an empty root."
            )
    return wanted


def _move(source: Root, target: Root, name: str, known: Digests | None, step: Step) -> MovedSpace:
    done: Literal["copied", "copied again"] = "copied"
    with _reading(source, name) as store:
        wanted = copying.digests_of(store, lambda rows: step(f"reading {name}", rows))
        rows = {table: count for table, (count, _) in wanted.items()}
        if known is not None:
            with _reading(target, name) as there:
                found = copying.digests_of(there)
            if found == wanted:
                return MovedSpace(name, "there already", rows)
            target.remove(name)  # a copy of an earlier state, which nobody has written to
            done = "copied again"
        if target.receiving(name):
            with closing(target.receive(name)) as begun:
                mark = Mark.read(begun)
            if mark is not None and mark.of != wanted:
                target.refuse(name)  # the source has changed since
        with closing(target.receive(name)) as copy:
            copying.copy(store, copy, wanted, lambda rows: step(f"copying {name}", rows))
    target.accept(name)
    return MovedSpace(name, done, rows)


def move_server(source: Location, target: Location) -> int:
    """Copy what servers keep for themselves: API keys, and the places in conversations of the proxy; return how many keys.

    What the target has stays. The conversations stay behind when its proxy has had some of its own, since they are known by
    a secret; so do the answers under an Idempotency-Key, which are kept for a day.
    """
    if isinstance(source, Path) and not (source / SERVER).is_dir():
        return 0
    with closing(open_keys(source)) as ours, closing(open_keys(target)) as theirs:
        there = {row.id for row in theirs.all()}
        new = [row for row in ours.all() if row.id not in there]
        for row in new:
            theirs.add(row)
    with closing(open_chats(source)) as chats:
        places = chats.all()
    if places and secret_of(target, first := secret_of(source)) == first:
        with closing(open_chats(target)) as chats:
            chats.put(places, 0.0)
    return len(new)


def _difference(wanted: Digests, found: Digests) -> str:
    name = next(name for name in wanted if wanted[name] != found[name])
    return f"{found[name][0]:,} rows of {name} there, {wanted[name][0]:,} here"
