"""HEMA: a compact summary of everything and a store of vectors, pruned by age and use."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.summaries import Summaries
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.forget.hema import Hema
from mnemos.text.null import NoUpdater
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.latest import Latest
from mnemos.text.recall.overview import HEMA, Overview
from mnemos.text.system import DEFAULT


@register(
    "hema",
    baselines=("fifo", "random"),
    papers=(HEMA,),
)
def hema() -> System:
    """A prompt has one summary of everything, what is near by its vector, and the latest turns.

    The summary is made of those of sessions: two levels, so that what was said early is not summed up again and again. A
    policy prunes by the law `hema`: salience falls with age and rises for a while with each retrieval.

    Deviations: the summary is made again in `consolidate`, not after each turn, by the space's reasoner. What is pruned is
    archived, and only once the space has a policy: `space.policy = Policy(law="hema", min_retention=0.4)`. Vectors are
    compared exactly; `index/hnsw.py` and `index/disk.py` have the approximate ones.
    """
    return replace(
        DEFAULT,
        retrieve=Cosine(),
        rerank=(),
        update=NoUpdater(),
        law=Hema(),
        phases=(Summaries(levels=("session", "all")), RemoveOrphans(), ApplyPolicy()),
        select=(Latest(turns=2), Overview()),
    )
