"""A-MEM: notes that are linked to each other, and change when one like them arrives."""

from __future__ import annotations

from dataclasses import replace

from mnemos.registry import register
from mnemos.text.base import System
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.encode.notes import AMEM, Notes
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.linked import Linked
from mnemos.text.system import DEFAULT
from mnemos.text.update.evolve import Evolve


@register("a-mem", baselines=("vectors",), papers=(AMEM,))
def amem() -> System:
    """Notes with keywords, tags and a context, found by the vector of all of them, and by the links of those found.

    Each new note is linked to its nearest, whose notes evolve: a new version with the same text.

    Deviations: the rules write notes, choose links and let notes evolve, where the paper asks a model. No note takes up
    words of another one (see `Evolve`). Contradictions stand side by side, as in the paper.
    """
    return replace(
        DEFAULT,
        encode=Notes(),
        retrieve=Cosine(),
        rerank=(Linked(),),
        update=Evolve(),
        phases=(RemoveOrphans(), ApplyPolicy()),
    )
