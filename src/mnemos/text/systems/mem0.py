"""Mem0: what is told is compared with the nearest memories, and added, updated, deleted or left; and its graph."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import Paper, register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.reconsider import SecondPass
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.known import PromoteFact
from mnemos.text.recall.triples import Triples
from mnemos.text.system import DEFAULT
from mnemos.text.update.four_operations import FourOperations

MEM0 = Paper(
    "Mem0: Building Production-Ready AI Agents with Scalable Long-Term Memory", "2504.19413", code="mem0ai/mem0"
)


@register(
    "mem0",
    baselines=("append", "vectors"),
    papers=(MEM0,),
)
def mem0() -> System:
    """Memories found by their vectors, of which a repeated one is not kept in search and a contradicted one is superseded.

    Deviations: a memory is what was said, not a model's sentence about it; the rules read its facts and choose among ADD,
    UPDATE, DELETE and NOOP, and a model of the space reads them again in `consolidate`. Nothing is deleted: see
    `FourOperations`. The rolling summary, which is context for the paper's model, is not written.
    """
    return replace(
        DEFAULT,
        retrieve=Cosine(),
        rerank=(),
        update=FourOperations(),
        phases=(SecondPass(), RemoveOrphans(), ApplyPolicy()),
    )


@register(
    "mem0-graph",
    baselines=("mem0",),
    papers=(MEM0,),
)
def mem0_graph() -> System:
    """Mem0 with its graph: triples with the time in which each holds, found by entity and by what a question asks for.

    An edge that is contradicted ends and is kept, so that a question about an earlier time is answered by what held then.

    Deviations: nodes are the subjects and values that the rules read, merged where they are the same words; the paper
    merges what has near vectors.
    """
    return replace(mem0(), rerank=(Triples(), PromoteFact()))
