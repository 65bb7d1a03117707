"""Segments: pages of one topic, whenever they were said, joined into one as they arrive."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import register
from mnemos.store.values import Member
from mnemos.text.base import Memory
from mnemos.text.consolidate.derive import PARENTS, Writer
from mnemos.text.consolidate.groups import fingerprint
from mnemos.text.consolidate.report import Budget
from mnemos.text.encode.notes import content_words
from mnemos.text.recall.latest import MEMORYOS

LEVEL = "segment"  # of the derived cubes
NONE = np.zeros(0, dtype=np.float32)


@dataclass(slots=True)
class _Segment:
    """A segment while it is put together."""

    members: list[Member] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    total: NDArray[np.float32] = field(default_factory=lambda: NONE)  # sum of the vectors of its pages

    def take(self, member: Member, words: set[str], row: NDArray[np.float32]) -> None:
        self.members.append(member)
        self.words.update(words)
        self.total = row.copy() if not self.total.size else self.total + row


@register(
    "segments",
    baselines=("episodes",),
    unmeasured="tests/text/systems/test_memoryos.py checks it within memoryos",
    papers=(MEMORYOS,),
)
@dataclass(frozen=True, slots=True)
class Segments:
    """Join each page to the segment with the highest F = cos(e_segment, e_page) + Jaccard(keywords), if F reaches `join`.

    Otherwise it opens a new one. e_segment is the mean of its pages, its keywords are the words that several of its pages
    have. A segment is a derived cube with a summary, whose parents are its pages. Reads the texts of all originals, O(N), and
    compares each with all segments; writes only the segments that changed.

    Deviations: the paper's model writes keywords and summaries, and checks whether a page goes on from the one before; here
    the rules do the first two, and the reasoner of the space the summaries. A page is a turn. Pages are joined anew in each
    run, in the order of telling, so that a killed run ends the same.
    """

    join: float = 0.6  # F from which a page belongs to a segment
    keywords: int = 12  # of a segment, at most

    def run(self, memory: Memory, budget: Budget) -> None:
        """Write the segments that are missing or no longer right, and drop those that begin at other pages."""
        store, writer = memory.store, Writer(memory)
        derived = store.derived.existing()
        found = self._segments(memory)
        wanted = {f"segment:{s.members[0].id}": s for s in found}
        stale = [d.id for d in derived.values() if d.level == LEVEL and d.of not in wanted]
        writer.drop(stale)
        budget.done.removed += len(stale)
        for of, segment in wanted.items():
            if budget.spent:
                break
            mark, existing = fingerprint((m.id, m.version) for m in segment.members), derived.get(of)
            if existing is not None and existing.fingerprint == mark:
                continue
            cubes = store.by_key([m.key for m in segment.members])
            texts = [cubes[m.key].text for m in segment.members if m.key in cubes]
            (title, gist), good = memory.judge.ask(lambda r, t=texts: (r.title(t), r.summarise(t, 2)))  # type: ignore[misc]
            text = f"{title} ({segment.members[0].when:%Y-%m-%d}): {gist}" if gist else title
            if text:
                about = {"title": title, "level": LEVEL}
                writer.put("episode", of, text, segment.members, mark, existing, about, good=good)
                budget.done.count(LEVEL)
        writer.flush()

    def _segments(self, memory: Memory) -> list[_Segment]:
        """Return the segments of all active originals that have a vector, in the order of their first pages."""
        corpus, members = memory.corpus(), memory.store.derived.members()
        if corpus is None:
            return []
        at = corpus.positions_of(np.array([m.key for m in members], dtype=np.int64))
        found: list[_Segment] = []
        centres = np.zeros((0, corpus.vectors.rows.shape[1]), np.float32)
        texts = memory.store.by_key([m.key for m in members])
        for member, place in zip(members, at.tolist(), strict=True):
            cube = texts.get(member.key)
            if cube is None or place < 0 or corpus.archived[place] or not corpus.vectors.present[place]:
                continue
            row, words = corpus.vectors.rows[place], set(content_words(cube.text))
            best, score = -1, self.join
            cosines = centres @ row
            for n in np.flatnonzero(cosines > self.join - 1).tolist():  # no Jaccard is above 1
                f = float(cosines[n]) + self._jaccard(found[n], words)
                if f >= score and len(found[n].members) < PARENTS:
                    best, score = n, f
            if best < 0:
                found.append(_Segment())
                centres = np.concatenate([centres, row[None]])
            found[best].take(member, words, row)
            total = found[best].total
            centres[best] = total / max(float(np.linalg.norm(total)), 1e-9)
        return found

    def _jaccard(self, segment: _Segment, words: set[str]) -> float:
        own = {w for w, _ in segment.words.most_common(self.keywords)}
        return len(own & words) / max(len(own | words), 1)
