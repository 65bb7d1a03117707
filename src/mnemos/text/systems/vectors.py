"""Vectors alone, as a system."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import Paper, register
from mnemos.text.base import System
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.null import NoUpdater
from mnemos.text.recall.cosine import Cosine
from mnemos.text.system import DEFAULT


@register(
    "vectors",
    papers=(
        Paper(
            "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
            "1908.10084",
            code="UKPLab/sentence-transformers",
        ),
    ),
)
def vectors() -> System:
    """Every text is kept as it is and found by the cosine of its vector: the baseline of a vector database."""
    return replace(DEFAULT, retrieve=Cosine(), rerank=(), update=NoUpdater(), phases=(ApplyPolicy(),))
