"""Work on a space as a whole: new vectors after a change of model, checks and repairs, dump and restore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemos.cube import MemCube
from mnemos.errors import Conflict, InvalidInput
from mnemos.store.base import DateRow
from mnemos.text.encode.entries import Progress, make_entries, words_and_dates

if TYPE_CHECKING:
    from mnemos.space import Space

REINDEX_BATCH = 256
PAGE = 1_000


def reindex(space: Space, progress: Progress | None = None) -> int:
    """Compute the vectors that are missing under the space's embedder; return how many.

    Works in small transactions from the stored text, so that it can be stopped and started again;
    at the end the vectors of other models are dropped. Raises EmbedderError; InvalidInput without an embedder.
    """
    model = space.model_key()
    if space.embedder is None or model is None:
        raise InvalidInput("there is no embedder to reindex with. Open Mnemos with one, such as 'bundled'.")
    done = 0
    while rows := space.store.unembedded(model, limit=REINDEX_BATCH):
        vectors = space.embedder.embed([text for _, text in rows], progress=progress).astype(np.float16)
        space.store.put_vectors(model, zip([n for n, _ in rows], vectors, strict=True))
        done += len(rows)
    space.store.drop_other_models(model)
    return done


@dataclass
class Checkup:
    """What `doctor` found. `problems` are human sentences; `repaired` says what was done about them."""

    space: str
    cubes: int = 0
    problems: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """True when nothing is wrong, or all that was wrong has been repaired."""
        return len(self.problems) == len(self.repaired)


def doctor(space: Space, *, repair: bool = False, progress: Progress | None = None) -> Checkup:
    """Check the file's pages, and that every row has the words and the vector that its text calls for.

    With `repair`, words, dates and vectors are computed again from the rows and orphans are removed. The
    texts themselves are never changed. Reads every row: O(N), about 20,000 cubes a second.
    """
    store, report = space.store, Checkup(space.name)
    for line in store.integrity():
        report.problems.append(f"the file is damaged: {line}. Restore it from an export or a backup.")
    model = space.model_key()
    size = 0 if space.embedder is None else 2 * space.embedder.dimension
    wrong_words: list[tuple[int, tuple[str, ...], tuple[DateRow, ...]]] = []
    wrong_vectors: list[int] = []
    missing = after = 0
    while rows := store.scan(model, after=after, limit=PAGE):
        for row in rows:
            terms, dates = words_and_dates(row.cube)
            if row.terms != " ".join(terms) or row.dates != dates:
                wrong_words.append((row.n, terms, dates))
            if row.vector is None:
                missing += row.cube.replaced is None
            elif len(row.vector) != size or not np.isfinite(np.frombuffer(row.vector, dtype="<f2")).all():
                wrong_vectors.append(row.n)
        report.cubes += len(rows)
        after = rows[-1].n
        if progress:
            progress(len(rows))
    orphans = store.orphans()
    if repair and wrong_words + wrong_vectors:
        store.repair(wrong_words, wrong_vectors)
    if repair and orphans:
        store.orphans(remove=True)
    if repair and space.embedder is not None and (missing or wrong_vectors):
        reindex(space)
    for count, problem, remedy in (
        (len(wrong_words), "have words or dates that do not match their text", "computed anew from the text"),
        (len(wrong_vectors), "have a damaged vector", "computed anew from the text"),
        (missing if space.embedder else 0, "have no vector of the current model", "computed from the text"),
        (orphans, "words, vectors or dates belong to no cube", "removed"),
    ):
        if count:
            report.problems.append(f"{count} {problem}.")
            if repair:
                report.repaired.append(f"{count} {remedy}.")
    return report


def dump(space: Space) -> Iterator[dict[str, Any]]:
    """Yield {"cube": ..., "versions": [earlier ones, oldest first]} for every cube, in the order of writing."""
    cursor: int | None = None
    while True:
        page = space.list(limit=PAGE, cursor=cursor, state="any")
        for cube in page.items:
            past = space.store.versions(cube.id)[:-1] if cube.version > 1 else []
            yield {"cube": cube.to_dict(), "versions": [v.to_dict() for v in past]}
        if (cursor := page.next_cursor) is None:
            return


def restore(space: Space, records: Iterable[Mapping[str, Any]], progress: Progress | None = None) -> tuple[int, int]:
    """Write what `dump` yielded, all or none; return (cubes added, cubes skipped as already there).

    Ids, times and versions are kept. Where the space already has a cube, the longer history wins if it
    continues the shorter one. Raises InvalidInput for a malformed record, and Conflict when an id is taken
    by a cube with another history; nothing is stored then.
    """
    chains = [_chain(record, space.name, i) for i, record in enumerate(records)]
    new: list[MemCube] = []
    skipped = 0
    for chain in chains:
        there = space.store.versions(chain[-1].id)
        if not there:
            new += chain
        elif _begins(there, chain):
            skipped += 1
        elif _begins(chain, there):
            new += chain[len(there) :]
        else:
            raise Conflict(
                f"cube {chain[-1].id!r} is already in space {space.name!r} with another history. Import into "
                "an empty space, or delete the cube first. Nothing was stored."
            )
    space.store.insert(make_entries(new, space.embedder, progress), space.model_key())
    return len(chains) - skipped, skipped


def _begins(longer: Sequence[MemCube], shorter: Sequence[MemCube]) -> bool:
    """Tell whether `shorter` is how the history `longer` begins."""
    return len(shorter) <= len(longer) and all(
        (a.version, a.text, a.at, a.learned) == (b.version, b.text, b.at, b.learned)
        for a, b in zip(longer, shorter, strict=False)
    )


def _chain(record: Mapping[str, Any], space: str, position: int) -> list[MemCube]:
    try:
        cubes = [MemCube.from_dict({**data, "space": space}) for data in (*record["versions"], record["cube"])]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"record {position}: not a cube of an archive ({error}).") from error
    if [c.version for c in cubes] != list(range(1, len(cubes) + 1)) or len({c.id for c in cubes}) != 1:
        raise InvalidInput(f"record {position}: the versions of a cube must be 1, 2, ... of one id.")
    return cubes
