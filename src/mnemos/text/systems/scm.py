"""SCM: a gate, recency and relevance, the latest turns, and a summary where it suffices."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.summaries import Summaries
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.null import NoUpdater
from mnemos.text.recall.latest import SCM, Latest
from mnemos.text.recall.recency import RecencyRelevance
from mnemos.text.recall.self_contained import SelfContained
from mnemos.text.recall.shorten import Shorten
from mnemos.text.system import DEFAULT


@register("scm", baselines=("vectors",), papers=(SCM,))
def scm() -> System:
    """Turns ranked by recency and relevance; a prompt has the latest ones, and others only if it needs memory.

    The gate is asked before anything is searched; a long hit is shown by its summary where that has what is asked for.

    Deviations: rules and words decide where the paper asks a model: whether memory is needed, and for each hit whether its
    summary suffices. Contradictions stand side by side, as in the paper.
    """
    return replace(
        DEFAULT,
        retrieve=RecencyRelevance(),
        rerank=(),
        update=NoUpdater(),
        phases=(Summaries(levels=("session",)), RemoveOrphans(), ApplyPolicy()),
        gate=SelfContained(),
        select=(Shorten(), Latest(turns=3)),
    )
