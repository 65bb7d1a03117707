"""MemLLM: an explicit store of triples that is read and written beside the text."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.spelling import MEMLLM, PromoteTriples
from mnemos.text.system import DEFAULT


@register("memllm", papers=(MEMLLM,), baselines=("bm25",), task="triples")
def memllm() -> System:
    """Facts as triples, found by names that are written another way; a later one overwrites the one before.

    The paper fine-tunes a model to emit the reads and writes; here rules read both, and the texts behind the triples are found
    by their words where no triple is asked for.
    """
    return replace(DEFAULT, retrieve=Bm25(), rerank=(PromoteTriples(),), phases=(ApplyPolicy(),))
