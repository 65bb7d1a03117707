"""Words alone, as a system."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import Paper, register
from mnemos.text.base import System
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.null import NoUpdater
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.system import DEFAULT


@register("bm25", papers=(Paper("The Probabilistic Relevance Framework: BM25 and Beyond"),))
def bm25() -> System:
    """Every text is kept as it is and found by its words: the baseline of a memory without vectors and judgement."""
    return replace(DEFAULT, retrieve=Bm25(), rerank=(), update=NoUpdater(), phases=(ApplyPolicy(),))
