"""TradingGPT: three layers of memory, each of which forgets and ages at its own rate."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.forget.layered import Layered
from mnemos.text.forget.promotion import Promotion
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.layers import TRADINGGPT, LayeredRecency
from mnemos.text.system import DEFAULT
from mnemos.text.update.append import Append


@register("tradinggpt", papers=(TRADINGGPT,), baselines=("vectors",), task="layers")
def tradinggpt() -> System:
    """Texts found by their vectors and by how recent they are in their layer; what is used climbs to a slower one.

    Deviations: agents with different characters that debate are several spaces; nothing rates importance but use.
    """
    return replace(
        DEFAULT,
        retrieve=Cosine(),
        rerank=(LayeredRecency(),),
        update=Append(),
        law=Layered(),
        phases=(Promotion(), ApplyPolicy()),
    )
