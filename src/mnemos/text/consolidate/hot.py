"""Heat of segments: what is visited often and grows moves to the long term, page by page."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mnemos.cube import to_micros
from mnemos.registry import register
from mnemos.text.base import DAY, Memory
from mnemos.text.consolidate.report import Budget
from mnemos.text.consolidate.segments import LEVEL
from mnemos.text.forget.memoryos_heat import Heat
from mnemos.text.forget.policy import candidates
from mnemos.text.recall.latest import MEMORYOS


@register(
    "hot-segments",
    baselines=("promotion",),
    unmeasured="tests/text/systems/test_memoryos.py checks it within memoryos",
    papers=(MEMORYOS,),
)
@dataclass(frozen=True, slots=True)
class HotSegments:
    """Move the visited pages of hot segments to the long term, where no policy forgets them.

    H = a N_visit + b L_interaction + c exp(-dt / mu): the recalls of all pages, the pages that are not in the long term yet
    (so L is reset), and the time since the last recall. Hot is what is above `tau`. One scan of numbers, O(N).

    Deviation: the paper distils the pages of a hot segment into a profile by a model; here `Profiles` writes it from the facts
    that were stated, and the pages stay. A page that was never recalled does not move: a long segment is not hot by its
    length alone.
    """

    heat: Heat = field(default_factory=Heat)  # its constants
    tau: float = 5.0  # heat above which a segment is hot

    def run(self, memory: Memory, budget: Budget) -> None:
        """Move them, in one transaction."""
        store = memory.store
        with store.transaction():
            segments = [d.key for d in store.derived.existing().values() if d.level == LEVEL]
            pages = {c.id: list(c.parents) for c in store.by_key(segments).values()}
            found = candidates(store.lives.candidates(["active"]))
            place = {key: i for i, key in enumerate(found.keys.tolist())}
            now = to_micros(memory.now()) / DAY
            up: list[tuple[int, int]] = []
            for ids in pages.values():
                at = np.array([place[k] for k in store.keys_of(ids) if k in place], dtype=np.int64)
                h = found.histories.at(at)
                left = h.tier < 2
                visits, last = int(h.recalls.sum()), float(h.recalled.max(initial=0.0))
                recency = float(np.exp(-max(now - last, 0.0) / self.heat.mu))
                hot = self.heat.a * visits + self.heat.b * int(left.sum()) + self.heat.c * recency > self.tau
                if hot and visits:
                    up += [(int(found.keys[i]), 2) for i in at[left & (h.recalls > 0)].tolist()]
            store.lives.set_tier(up)
        budget.done.promoted += len(up)
