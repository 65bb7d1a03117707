"""Upkeep of a whole space: new vectors after a change of model, checks and repairs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mnemos.embed.base import Progress
from mnemos.errors import InvalidInput
from mnemos.store.values import DateRow
from mnemos.text.memory import TextMemory

REINDEX_BATCH = 256
PAGE = 1_000


def reindex(memory: TextMemory, progress: Progress | None = None) -> int:
    """Compute the vectors that are missing for the space's embedder; return their number.

    It works in small transactions from the stored texts, so that it can be stopped and started again; at the end the
    vectors of other models are deleted. Raises EmbedderError, and InvalidInput without an embedder.
    """
    model = memory.model_key()
    if memory.embedder is None or model is None:
        raise InvalidInput("there is no embedder to reindex with. Open Mnemos with one, such as 'bundled'.")
    done = 0
    while rows := memory.store.vectors.missing(model, limit=REINDEX_BATCH):
        vectors = memory.embedder.embed([text for _, text in rows], progress=progress).astype(np.float16)
        memory.store.vectors.put(model, zip([n for n, _ in rows], vectors, strict=True))
        done += len(rows)
    memory.store.vectors.drop_others(model)
    return done


@dataclass
class Checkup:
    """The findings of `doctor`."""

    space: str
    cubes: int = 0  # versions checked
    problems: list[str] = field(default_factory=list)  # sentences for people
    repaired: list[str] = field(default_factory=list)  # what was done about each

    @property
    def healthy(self) -> bool:
        """True when there are no problems, or all have been repaired."""
        return len(self.problems) == len(self.repaired)


def doctor(memory: TextMemory, *, repair: bool = False, progress: Progress | None = None) -> Checkup:
    """Check the file, and that each row has the words, dates and vector of its text.

    With `repair`, words, dates and vectors are recomputed from the texts and orphans are removed. The texts themselves
    are never changed. Reads every row: O(N), about 20,000 cubes a second.
    """
    store, report = memory.store, Checkup(memory.name)
    for line in store.checks.integrity():
        report.problems.append(f"the file is damaged: {line}. Restore it from an export or a backup.")
    model = memory.model_key()
    size = 0 if memory.embedder is None else 2 * memory.embedder.dimension
    wrong_words: list[tuple[int, tuple[str, ...], tuple[DateRow, ...]]] = []
    wrong_vectors: list[int] = []
    missing = after = 0
    while rows := store.checks.scan(model, after=after, limit=PAGE):
        entries = memory.system.encode.encode([row.cube for row in rows], None)  # without vectors
        for row, entry in zip(rows, entries, strict=True):
            if row.terms != " ".join(entry.terms) or row.dates != entry.dates:
                wrong_words.append((row.key, entry.terms, entry.dates))
            if row.vector is None:
                missing += row.cube.replaced is None
            elif len(row.vector) != size or not np.isfinite(np.frombuffer(row.vector, dtype="<f2")).all():
                wrong_vectors.append(row.key)
        report.cubes += len(rows)
        after = rows[-1].key
        if progress:
            progress(len(rows))
    orphans = store.remains.orphans()
    if repair and wrong_words + wrong_vectors:
        store.checks.repair(wrong_words, wrong_vectors)
    if repair and orphans:
        store.checks.remove_orphans()
    if repair and memory.embedder is not None and (missing or wrong_vectors):
        reindex(memory)
    for count, problem, remedy in (
        (len(wrong_words), "have words or dates that do not match their text", "recomputed from the text"),
        (len(wrong_vectors), "have a damaged vector", "recomputed from the text"),
        (missing if memory.embedder else 0, "have no vector of the current model", "computed from the text"),
        (orphans, "words, vectors or dates belong to no cube", "removed"),
    ):
        if count:
            report.problems.append(f"{count} {problem}.")
            if repair:
                report.repaired.append(f"{count} {remedy}.")
    return report
