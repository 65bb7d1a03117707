"""Provable erasure: choose cubes, erase them everywhere, search for remains, and return a receipt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from mnemos.arguments import check_flag, check_text, check_texts
from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.index.phrase import Phrase
from mnemos.store.base import Store
from mnemos.store.values import Filter

NEEDLE = 48  # bytes of a text that the raw files are searched for
SHORTEST = 12  # bytes; a shorter piece occurs in files by chance
NEEDLES = 300  # at most; more are sampled evenly


@dataclass(frozen=True)
class Receipt:
    """What was erased, when, and what a search for remains found. It holds no text and no query."""

    space: str
    at: str  # ISO 8601
    chosen_by: str  # "ids", "query", "filters" or "everything"
    ids: tuple[str, ...]
    derived: int  # cubes erased because a cube they were derived from was
    versions: int
    searched_for: int  # pieces of the erased texts and ids
    searched_bytes: int  # of the files of the space
    remains: tuple[str, ...]  # where something was still found

    @property
    def verified(self) -> bool:
        """True when nothing that was erased was found afterwards."""
        return not self.remains

    def to_json(self) -> str:
        """Return the receipt as JSON, to keep and to verify again later."""
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def from_json(text: str) -> Receipt:
        """Read what `to_json` wrote. Raises InvalidInput for anything else."""
        try:
            data = json.loads(text)
            return Receipt(**{**data, "ids": tuple(data["ids"]), "remains": tuple(data["remains"])})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"this is not a receipt of an erasure ({error}). Give the text that Receipt.to_json() returned."
            ) from error


def choose(
    store: Store,
    ids: Sequence[str] = (),
    *,
    query: str | None = None,
    everything: bool = False,
    filter: Filter | None = None,
) -> tuple[str, list[MemCube]]:
    """Return how cubes were chosen, and the cubes, derived ones included; nothing is erased.

    `query` is a phrase: it chooses the cubes that say it as it is written, in any version (see `index.phrase`). With
    `filter` they must match that too. One scan of the texts, O(N), about 40 us a cube. Raises InvalidInput when nothing
    in particular is chosen.
    """
    ids, everything = check_texts(ids, "ids"), check_flag(everything, "everything")
    phrase = None if query is None else Phrase(check_text(query, "query"))
    ways = [name for name, given in (("ids", ids), ("query", phrase), ("everything", everything)) if given]
    if len(ways) > 1 or (filter is not None and (ids or everything)):
        raise InvalidInput("choose what to forget in one way: ids, a query and/or filters, or everything.")
    if not ways and filter is None:
        raise InvalidInput(
            "nothing in particular was chosen. Give ids, a query, a filter that selects (a flag, as_of, a state that is "
            "active or any, and an empty or only negative `where` do not), or everything=True."
        )
    names = list(ids) if ids else [c.id for c in _matching(store, phrase, filter or Filter(state=None))]
    return (ways or ["filters"])[0], list(store.get(store.family(names)).values())


def _matching(store: Store, phrase: Phrase | None, filter: Filter) -> Iterable[MemCube]:
    after = 0
    while rows := store.select(filter, after=after, limit=1_000):
        after = rows[-1][0]
        for _, cube in rows:
            versions = [cube] if cube.version == 1 or phrase is None else store.versions(cube.id)
            if phrase is None or any(phrase.occurs(v.text) for v in versions):
                yield cube


def erase(
    store: Store,
    chosen_by: str,
    cubes: Sequence[MemCube],
    asked: int,
    now: datetime,
    unreadable: Sequence[str] = (),
) -> Receipt:
    """Erase cubes everywhere and search the rows and the raw bytes of the files for remains.

    `asked` is how many of them were chosen themselves. `unreadable` are ids of damaged cubes, whose texts cannot be
    searched for. With everything go damaged rows and what was set aside of them. O(cubes) and one pass over the files,
    about a second for 100 MB.
    """
    versions = [v for cube in cubes for v in store.versions(cube.id)]
    ids = tuple(store.erase([*(cube.id for cube in cubes), *unreadable]))
    if chosen_by == "everything":
        store.checks.erase_damaged()
    needles = pieces(versions, ids)
    searched, found = store.remains.raw(needles)
    remains = [f"raw bytes: {where}" for where, needle in found if not store.remains.mentions(needle.decode())]
    return Receipt(
        store.space, now.isoformat(), chosen_by, ids, max(len(ids) - asked, 0), len(versions), len(needles), searched,
        (*rows_left(store, ids), *remains),
    )  # fmt: skip


def verify(store: Store, receipt: Receipt) -> list[str]:
    """Search again for what a receipt says was erased; return what was found, one sentence each.

    The texts are no longer known, so rows and raw bytes are searched for the ids. Raises InvalidInput for a receipt of
    another space.
    """
    if not isinstance(receipt, Receipt):
        raise InvalidInput(f"receipt is {receipt!r:.60}, expected what forget() returned, or Receipt.from_json(text).")
    if receipt.space != store.space:
        raise InvalidInput(f"the receipt is of space {receipt.space!r}, this is space {store.space!r}.")
    back = set(store.get(receipt.ids))  # reported as rows
    needles = [i.encode() for i in receipt.ids if len(i.encode()) >= SHORTEST and i not in back]
    _, found = store.remains.raw(needles)
    return [
        *rows_left(store, receipt.ids),
        *(f"raw bytes: {where}" for where, n in found if not store.remains.mentions(n.decode())),
    ]


def rows_left(store: Store, ids: Sequence[str]) -> list[str]:
    """Return what rows still hold of these ids: cubes, links, and words, vectors or dates without a cube."""
    left = [f"row: cube {name}" for name in store.family(ids)]
    orphans = store.remains.orphans()
    erased = sorted(set(ids) - set(store.get(ids)))
    if traces := store.remains.traces(erased):
        left.append(f"{traces} links, decisions or facts that name them")
    left += [f"file: the payload of {name}" for name in erased if name in store.blobs.ids()]
    return [*left, f"{orphans} words, vectors, dates or facts without a cube"] if orphans else left


def pieces(versions: Sequence[MemCube], ids: Sequence[str]) -> list[bytes]:
    """Return the bytes to search for: the beginning, middle and end of every text and id, cut at characters."""
    found: dict[bytes, None] = {}
    for text in [v.text for v in versions] + list(ids):
        data = text.encode()
        for start in {0, max(len(data) // 2 - NEEDLE // 2, 0), max(len(data) - NEEDLE, 0)}:
            piece = data[start : start + NEEDLE].decode("utf-8", "ignore").encode()
            if len(piece) >= SHORTEST and b"\0" not in piece:
                found[piece] = None
    every = max(1, -(-len(found) // NEEDLES))
    return list(found)[::every]
