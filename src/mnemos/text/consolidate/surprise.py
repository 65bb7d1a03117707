"""Surprise: what the rest of a space predicts is taken out of search, and only what is new stays in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.setting import stored_value
from mnemos.text.base import Memory
from mnemos.text.consolidate.report import Budget, Forgotten
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.semantic_cache import particulars

Ints = NDArray[np.int64]
REVIEW = Paper(
    "Memory-Augmented Transformers: A Systematic Review from Neuroscience Principles to Technical Solutions",
    "2508.10824",
)


@register("surprise", papers=(REVIEW,), task="cognition")
@dataclass(frozen=True, slots=True)
class ArchivePredicted:
    """Archive a new memory that an older one predicts: its vector is near, and it names nothing else.

    The review's experiment writes only what is surprising. Here everything is written, since what was told is stored; the
    gate decides what is searched. What it archives is found again with `state`, is in `history` and `as_of`, and comes back
    with `unarchive`. Surprise is 1 - the cosine to the nearest memory in search. A text with other names, numbers or
    negation, one that states a fact which no other states, and one that was recalled or pinned stay, however near they
    are. What it archived stays archived where the memory that predicted it is erased. Not part of the default system: it
    is a policy, for streams that repeat themselves.

    Cost: M N D multiplications for M new memories among N of dimension D.
    """

    least: float = 0.25  # surprise below which a memory is predicted
    batch: int = 4_000  # new memories that one run judges

    def run(self, memory: Memory, budget: Budget) -> None:
        """Judge the memories that are new since the last run, oldest first."""
        corpus, store = memory.corpus(), memory.store
        if corpus is None or memory.model_key() is None:
            return
        after = stored_value(store, "judged by surprise", int) or 0
        usable = np.flatnonzero(corpus.alive & ~corpus.derived & ~corpus.superseded & corpus.vectors.present)
        new = usable[corpus.keys[usable] > after][: self.batch]
        if not len(new):
            return
        judged = self.predicted(memory, corpus, usable, new)
        with store.transaction():
            gone = store.lives.set_state(store.ids_of(corpus.keys[judged].tolist()), "active", "archived")
            store.meta.set("judged by surprise", str(int(corpus.keys[new].max())))
        budget.done.forgotten += Forgotten(archived=tuple(gone))
        budget.done.more |= len(new) >= self.batch

    def predicted(self, memory: Memory, corpus: Corpus, usable: Ints, new: Ints) -> list[int]:
        """Return which of the `new` positions are predicted by one of the `usable` before them that stays."""
        rows, keys, store = corpus.vectors.rows, corpus.keys, memory.store
        cubes, facts = store.by_key(keys[usable].tolist()), stated(store, keys[usable].tolist())
        kept, gone = usable[usable < new[0]].tolist(), []
        for place in new.tolist():
            cosines = rows[kept] @ rows[place] if kept else np.zeros(1)
            best = int(np.argmax(cosines))
            cube = cubes.get(int(keys[place]))
            other = cubes.get(int(keys[kept[best]])) if kept and 1 - float(cosines[best]) < self.least else None
            if cube is None or other is None or cube.pinned or cube.recalls or not says_the_same(cube, other):
                kept.append(place)
            elif facts.get(int(keys[place]), set()) <= facts.get(int(keys[kept[best]]), set()):
                gone.append(place)
            else:
                kept.append(place)
        return gone


def says_the_same(one: MemCube, other: MemCube) -> bool:
    """Tell whether two near texts are by the same speaker and name the same names and numbers."""
    return one.speaker == other.speaker and particulars(one.text) == particulars(other.text)


def stated(store: Store, keys: Sequence[int]) -> dict[int, set[tuple[str, str, str, bool]]]:
    """Return what versions state, by key."""
    found: dict[int, set[tuple[str, str, str, bool]]] = {}
    for row in store.facts.of(keys):
        fact = row.fact
        found.setdefault(row.key, set()).add((fact.subject, fact.attribute, fact.value.lower(), fact.negated))
    return found
