"""MemGAS: memory at four granularities with a router by entropy, over a graph of associations."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.null import NoUpdater
from mnemos.text.recall.memgas import MemGas
from mnemos.text.recall.spread import MEMGAS
from mnemos.text.system import DEFAULT


@register("memgas", papers=(MEMGAS,), baselines=("vectors",), task="memgas")
def memgas() -> System:
    """Sessions found by turns, by their mean, by what is central and by words, each weighted by how sure it is.

    Without a model: see `text.recall.memgas` for what stands for the paper's summaries and keywords.
    """
    return replace(DEFAULT, retrieve=MemGas(), rerank=(), update=NoUpdater(), phases=(ApplyPolicy(),))
