"""MemoryOS: a queue of the latest pages, segments of topics with a heat, and a long term."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.consolidate.hot import HotSegments
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.profiles import Profiles
from mnemos.text.consolidate.segments import Segments
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.forget.memoryos_heat import Heat
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.latest import MEMORYOS, Latest
from mnemos.text.recall.segment_pages import SegmentPages
from mnemos.text.system import DEFAULT
from mnemos.text.update.append import Append


@register(
    "memoryos",
    baselines=("vectors",),
    papers=(MEMORYOS,),
)
def memoryos() -> System:
    """A prompt has the latest pages and those of the nearest segments; what is hot moves to the long term.

    Short term: the latest pages. Middle term: segments of pages on one topic, joined by F = cosine + Jaccard. Long term: the
    visited pages of hot segments, which no policy forgets, and a profile of each person.

    Deviations: segments are made in `consolidate`, by rules where the space has no model (see `Segments` and
    `HotSegments`). The coldest pages are archived by a policy (`Policy(law="memoryos-heat", cubes=...)`), never erased.
    """
    return replace(
        DEFAULT,
        retrieve=Cosine(),
        rerank=(SegmentPages(),),
        update=Append(),
        law=Heat(),
        phases=(Segments(), HotSegments(), Profiles(), RemoveOrphans(), ApplyPolicy()),
        select=(Latest(turns=7),),
    )
