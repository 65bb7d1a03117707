"""CAIM: a controller, retrieval by tags of a fixed ontology, and thoughts that are merged after a session."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.thoughts import Thoughts
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.null import NoUpdater
from mnemos.text.recall.latest import Latest
from mnemos.text.recall.self_contained import CAIM, SelfContained
from mnemos.text.recall.tagged import Tagged
from mnemos.text.system import DEFAULT


@register("caim", baselines=("vectors",), papers=(CAIM,))
def caim() -> System:
    """Few hits, all with a tag of the question, of the asked time, and near; none where the controller sees no need.

    After a session its thoughts are written: a dated line for each tag, merged into the cube of that tag.

    Deviations: rules, words and cosines decide where the paper asks a model: whether memory is needed, which tags a text has,
    and what fits. Thoughts are found by `kind="summary"` or `include_derived=True`; the turns are kept and found.
    """
    return replace(
        DEFAULT,
        retrieve=Tagged(),
        rerank=(),
        update=NoUpdater(),
        phases=(Thoughts(), RemoveOrphans(), ApplyPolicy()),
        gate=SelfContained(),
        select=(Latest(turns=2),),
    )
