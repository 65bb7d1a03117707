"""A-MEM's links and evolution: a new note is linked to those like it, whose own notes change with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube, to_micros
from mnemos.facts import Link
from mnemos.registry import register
from mnemos.store.values import Entry
from mnemos.text.base import Memory
from mnemos.text.encode.notes import AMEM, KEY, Note, content_words, note_of, stored_note
from mnemos.text.recall.corpus import Corpus

Pair = tuple[int, int, float]  # the new one, the older one, and the weight of their link


@register(
    "evolve", baselines=("append",), unmeasured="tests/text/systems/test_amem.py checks it within a-mem", papers=(AMEM,)
)
@dataclass(frozen=True, slots=True)
class Evolve:
    """Keep a note with each text, link it to the nearest notes, and let their notes evolve.

    A new text is linked ("similar") to those of its nearest that share a word of content with it, or are very close; the
    weight is how rare the rarest shared word is. Of the strongest links, what both texts share comes to the front of the
    keywords, and the sentence that has it becomes the context: a new version of that cube, with the same text. Costs, for M
    new texts among N of dimension D, M N D multiplications and an embedding of each note that changed.

    Deviations: rules decide where the paper asks a model twice in every write. A note takes up no words of another text, so
    that erasing one leaves none of its words behind; the paper's model rewrites freely.
    """

    nearest: int = 10  # notes that a new one is compared with (k of the paper)
    floor: float = 0.2  # cosine of a link, at least, where a word is shared
    close: float = 0.6  # cosine from which no word has to be shared
    neighbours: int = 3  # of a new note that evolve, at most
    keywords: int = 8  # of a note that evolved, at most
    evolves: bool = True  # False: links only

    def add(self, memory: Memory, entries: Sequence[Entry]) -> list[MemCube]:
        """Store entries with their notes, links, and new versions of the neighbours that evolved."""
        entries = [replace(e, cube=_with(e.cube, note_of(e.cube.text))) for e in entries]
        near = _Near(memory, entries, self.nearest)
        pairs = [pair for i in range(near.first, near.first + len(entries)) for pair in self._links(near, i)]
        changed = self._evolved(near.cubes, pairs) if self.evolves else {}
        again = dict(zip(changed, memory.encode(list(changed.values())), strict=True))
        new = {near.first + i: again.get(near.first + i, e) for i, e in enumerate(entries)}
        store, model = memory.store, memory.model_key()
        with store.transaction():
            store.insert(list(new.values()), model)
            current = store.get([near.cubes[i].id for _, i, _ in pairs])
            for i, entry in again.items():
                old = near.cubes[i]
                if i not in new and current.get(old.id) == old:  # nobody else changed it in the meantime
                    cube = replace(entry.cube, version=old.version + 1, learned=memory.now())
                    store.replace(replace(entry, cube=cube), model)
            links = [Link(near.cubes[i].id, near.cubes[j].id, "similar", round(w, 4)) for i, j, w in pairs]
            store.links.put([x for x in links if x.b in current], to_micros(memory.clock()))
        return [entry.cube for entry in new.values()]

    def revise(self, memory: Memory, entry: Entry) -> None:
        """Store the next version of a cube, with the note of its new text."""
        cube = _with(entry.cube, stored_note(entry.cube))
        memory.store.replace(replace(entry, cube=cube), memory.model_key())

    def _links(self, near: _Near, i: int) -> list[Pair]:
        """Return the links from a new note to older ones, those that share the rarest word first."""
        found = []
        for j, cosine in near.of[i]:
            weight = near.rarity(i, j)
            if cosine >= self.close or (cosine >= self.floor and weight > 0):
                found.append((i, j, max(weight, 0.01)))
        return sorted(found, key=lambda pair: -pair[2])

    def _evolved(self, cubes: dict[int, MemCube], pairs: Sequence[Pair]) -> dict[int, MemCube]:
        """Return the cubes whose notes changed, by place."""
        changed: dict[int, MemCube] = {}
        done: Counter[int] = Counter()
        for i, j, _ in pairs:
            done[i] += 1
            if done[i] <= self.neighbours:
                cube = changed.get(j, cubes[j])
                note = stored_note(cube)
                new = note.seen_from(cube.text, content_words(cubes[i].text), self.keywords)
                if new != note:
                    changed[j] = _with(cube, new)
        return changed


class _Near:
    """New notes and the nearest older ones of each. A place below `first` is a position of the corpus, others are new."""

    def __init__(self, memory: Memory, entries: Sequence[Entry], nearest: int) -> None:
        corpus = memory.corpus()
        size = next((e.vector.shape[-1] for e in entries if e.vector is not None), 0)
        self.corpus = corpus if corpus is not None and size and corpus.vectors.rows.shape[1] == size else Corpus()
        self.first = len(self.corpus)
        rows = np.zeros((self.first + len(entries), size), np.float32)
        usable = np.ones(len(rows), dtype=bool)
        if self.first:
            c = self.corpus
            rows[: self.first] = c.vectors.rows
            usable[: self.first] = c.alive & ~c.derived & ~c.archived & c.vectors.present
        for i, entry in enumerate(entries):
            rows[self.first + i] = _unit(entry, size)
        self.of: dict[int, list[tuple[int, float]]] = {}
        for i in range(self.first, len(rows)):
            cosines = np.where(usable[:i], rows[:i] @ rows[i], -1.0)
            best = np.argsort(-cosines, kind="stable")[:nearest].tolist()
            self.of[i] = [(j, float(cosines[j])) for j in best if cosines[j] > 0]
        wanted = sorted({j for found in self.of.values() for j, _ in found if j < self.first})
        old = memory.store.by_key([int(self.corpus.keys[j]) for j in wanted])
        self.cubes = {j: old[key] for j in wanted if (key := int(self.corpus.keys[j])) in old}
        self.cubes |= {self.first + i: e.cube for i, e in enumerate(entries)}
        self.of = {i: [(j, cosine) for j, cosine in found if j in self.cubes] for i, found in self.of.items()}
        self._words = {j: set(content_words(cube.text)) for j, cube in self.cubes.items()}
        self._new = Counter(w for i in range(self.first, len(rows)) for w in self._words[i])
        self._count = len(rows)

    def rarity(self, i: int, j: int) -> float:
        """Return how rare the rarest content word of two notes is, 0 to 1: 1 if no third one has it; 0: none is shared."""
        best = 0.0
        for word in self._words[i] & self._words[j]:
            posting = self.corpus.words.posting(word)
            df = self._new[word] + (0 if posting is None else len(posting.positions))
            best = max(best, math.log((self._count + 1) / df) / math.log((self._count + 1) / 2))
        return min(best, 1.0)


def _with(cube: MemCube, note: Note) -> MemCube:
    return replace(cube, metadata={**{k: v for k, v in cube.metadata.items() if k != KEY}, **note.to_metadata()})


def _unit(entry: Entry, dimension: int) -> NDArray[np.float32]:
    """Return the unit vector of a whole entry, (D,); zeros where it has none."""
    if entry.vector is None:
        return np.zeros(dimension, np.float32)
    row = np.asarray(entry.vector if entry.vector.ndim == 1 else entry.vector[0], dtype=np.float32)
    return row / np.float32(max(float(np.linalg.norm(row)), 1e-9))
