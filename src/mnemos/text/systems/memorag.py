"""MemoRAG: a memory of the whole corpus gives clues, and the clues find the evidence."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.null import NoUpdater
from mnemos.text.recall.memorag import MEMORAG, MemoRag
from mnemos.text.system import DEFAULT


@register("memorag", papers=(MEMORAG,), baselines=("bm25",), task="memorag")
def memorag() -> System:
    """Texts kept as they are and found by the words of the question and by clues; see `text.recall.memorag`."""
    return replace(DEFAULT, retrieve=MemoRag(), rerank=(), update=NoUpdater(), phases=(ApplyPolicy(),))
