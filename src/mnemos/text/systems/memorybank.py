"""MemoryBank: dated turns, daily and global summaries, a portrait, and forgetting by the curve of Ebbinghaus."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import Paper, register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.profiles import Profiles
from mnemos.text.consolidate.summaries import Summaries
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.forget.chance import Chance
from mnemos.text.forget.ebbinghaus import Ebbinghaus
from mnemos.text.recall.cosine import Cosine
from mnemos.text.system import DEFAULT
from mnemos.text.update.append import Append


@register(
    "memorybank",
    baselines=("fifo", "random"),
    papers=(
        Paper(
            "MemoryBank: Enhancing Large Language Models with Long-Term Memory",
            "2305.10250",
            code="zhongwanjun/MemoryBank-SiliconFriend",
        ),
    ),
)
def memorybank() -> System:
    """Dated turns found by their vectors, summed up by day and as a whole, with a portrait of each person.

    Each maintenance pass (`consolidate`) keeps a memory with probability R = exp(-t / S): t is the days since its last
    recall, S starts at 1 and grows by 1 with each recall.

    Deviations: forgotten memories are archived, not erased. The space's reasoner writes the summaries, by rules where
    it has no model; the portrait is made of the facts that were stated. Both are found by `kind=` or
    `include_derived=True` and are not put into every prompt. The released code's variant with three fixed strengths is
    not built.
    """
    return replace(
        DEFAULT,
        retrieve=Cosine(),
        rerank=(),
        update=Append(),
        law=Ebbinghaus(spaced=False),
        phases=(Summaries(levels=("day", "all")), Profiles(), RemoveOrphans(), Chance(), ApplyPolicy()),
    )
