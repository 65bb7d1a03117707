"""Upkeep of a whole space: new vectors after a change of model, checks and repairs."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mnemos.cube import to_micros
from mnemos.embed.base import Progress
from mnemos.errors import DamagedRow, StoreCorrupt, StoreError
from mnemos.store.base import Store
from mnemos.store.checks import Checks
from mnemos.store.setting import Setting, stored_value
from mnemos.store.values import AsideRow, DamagedRecord, DateRow, Salvaged
from mnemos.text.consolidate.runs import read_runs
from mnemos.text.languages import main_language, unknown_languages
from mnemos.text.memory import TextMemory
from mnemos.text.reindexing import MAPPED, read_mapped, reindex

PAGE = 1_000
VALUES: Mapping[str, Callable[[str], object]] = {  # how each value of a space is read
    **{x.key: x.read for x in vars(TextMemory).values() if isinstance(x, Setting)},
    "linked": int, "tuning": int, MAPPED: read_mapped, "runs": read_runs, "lesson key": bytes.fromhex,
}  # fmt: skip
NAMED = 20  # damaged rows that a report names


@dataclass
class Checkup:
    """The findings of `doctor`."""

    space: str
    cubes: int = 0  # versions checked
    problems: list[str] = field(default_factory=list)  # sentences for people
    repaired: list[str] = field(default_factory=list)  # what was done about each
    notes: list[str] = field(default_factory=list)  # what to know, and nothing to repair

    @property
    def healthy(self) -> bool:
        """True when there are no problems, or all have been repaired."""
        return len(self.problems) == len(self.repaired)


def doctor(memory: TextMemory, *, repair: bool = False, progress: Progress | None = None) -> Checkup:
    """Check the file, and that each row has the words, dates and vector of its text.

    With `repair`, words, dates and vectors are recomputed from the texts, orphans are removed, and rows that cannot be
    read are set aside (see `set_aside`). The texts themselves are never changed. Reads every row: O(N), about 20,000
    cubes a second.
    """
    store, report = memory.store, Checkup(memory.name)
    if (damaged := _check_pages(memory, report, repair)) is None:
        return report
    _check_rows(memory, report, damaged, repair)
    model = memory.model_key()
    size = 0 if memory.embedder is None else 2 * memory.embedder.dimension
    wrong_words: list[tuple[int, tuple[str, ...], tuple[DateRow, ...]]] = []
    wrong_vectors: list[int] = []
    spoken: Counter[str] = Counter()
    missing = after = 0
    while rows := store.checks.scan(model, after=after, limit=PAGE):
        texts = [row for row in rows if row.cube.form == "text"]  # other forms are not searched
        entries = memory.system.encode.encode([row.cube for row in texts], None)  # without vectors
        for row, entry in zip(texts, entries, strict=True):
            if row.terms != " ".join(entry.terms) or row.dates != entry.dates:
                wrong_words.append((row.key, entry.terms, entry.dates))
            if row.vector is None:
                missing += row.cube.replaced is None
            elif (
                not isinstance(row.vector, bytes)
                or not row.vector
                or len(row.vector) % size
                or not np.isfinite(np.frombuffer(row.vector, dtype="<f2")).all()
            ):
                wrong_vectors.append(row.key)
        spoken.update(main_language(row.cube.text) for row in texts if row.cube.replaced is None)
        report.cubes += len(rows)
        after = rows[-1].key
        if progress:
            progress(len(rows))
    if note := unknown_languages(memory.embedder, spoken):
        report.notes.append(note)
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


def _check_pages(memory: TextMemory, report: Checkup, repair: bool) -> list[DamagedRecord] | None:
    """Check the pages and indexes of the database, and with `repair` mend them; return its damaged rows.

    None when not all rows can be read.
    """
    checks = memory.store.checks
    damaged: list[DamagedRecord] | None = None
    try:
        wrong = checks.integrity()
        damaged = checks.damaged()
    except StoreCorrupt as error:
        wrong = [str(error)]
    report.problems += [f"the file is damaged: {line}." for line in wrong]
    if not wrong:
        return damaged
    if not repair:
        report.notes.append(f"{told(checks.survey())} `mnemos doctor --repair` saves them; copy the file first.")
        return damaged
    if damaged is not None and _rebuilt(checks):
        report.repaired += ["the indexes were built again from the rows."] * len(wrong)
    else:
        saved = checks.salvage()
        memory.view.drop()
        report.repaired += [told(saved)] * len(wrong)
    return checks.damaged()


def _rebuilt(checks: Checks) -> bool:
    try:
        return checks.rebuild()
    except StoreError:
        return False


def told(saved: Salvaged) -> str:
    """Return what was saved of a damaged file, or could be, as a sentence."""
    rows = ", ".join(f"{n:,} of {table}" for table, n in saved.rows.items() if n)
    lost = ", ".join(saved.lost)
    parts = [f"{'saved' if saved.kept else 'can be read'}: {rows or 'no rows'}"]
    parts += [f"some rows are lost of {lost} (words, dates and vectors are computed again)"] if lost else []
    parts += [f"the damaged file is kept at {saved.kept}"] if saved.kept else []
    return "; ".join(parts) + "."


def _check_rows(memory: TextMemory, report: Checkup, damaged: Sequence[DamagedRecord], repair: bool) -> None:
    """Name the damaged rows and values, and with `repair` set them aside; say what is aside already."""
    store = memory.store
    values = _damaged_values(store)
    problems = [
        f"a row{f' of cube {row.cube}' if row.cube else ''} in {row.table} ({row.key}) is damaged and skipped: {row.reason}."
        for row in damaged[:NAMED]
    ]
    if len(damaged) > NAMED:
        problems.append(f"and {len(damaged) - NAMED:,} more damaged rows.")
    problems += [f"the value {name!r} is damaged and counts as not set." for name in values]
    report.problems += problems
    if problems and repair:
        store.checks.set_aside(to_micros(memory.clock()), values)
        report.repaired += ["it was set aside."] * len(problems)
    if kept := len(store.checks.aside()):
        report.notes.append(f"{kept:,} damaged rows are set aside: `mnemos doctor --aside` shows them.")
    if wrong := store.audit.verify()[1]:
        report.notes.append(f"the audit log does not verify: {wrong[0]}. It is left as it is, as evidence.")


def _damaged_values(store: Store) -> list[str]:
    """Return the names of stored values that their readers refuse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedRow)
        return [key for key, read in VALUES.items() if store.meta.get(key) and stored_value(store, key, read) is None]


def set_aside(memory: TextMemory) -> list[AsideRow]:
    """Return the damaged rows that `doctor` has set aside, the oldest first."""
    return memory.store.checks.aside()
