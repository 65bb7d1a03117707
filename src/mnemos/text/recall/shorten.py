"""Summary or full: a long hit is shown by its summary where that has what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mnemos.cube import Hit
from mnemos.index.terms import stop_terms, terms
from mnemos.registry import register
from mnemos.store.values import Filter
from mnemos.text.base import Memory
from mnemos.text.recall.latest import SCM


@register("shorten", unmeasured="tests/text/systems/test_scm.py checks it within scm", papers=(SCM,))
@dataclass(frozen=True, slots=True)
class Shorten:
    """Show a long hit by its summary, where the summary has all words of the question that the hit has.

    Deviations: SCM asks a model for each memory whether its summary suffices; here the words decide. The summary is made of
    sentences of the text by rules, and not stored. About 0.2 ms a long hit.
    """

    longest: int = 300  # characters of a hit that is shown as it is
    sentences: int = 2  # of a summary

    def select(
        self, memory: Memory, text: str, hits: Sequence[tuple[int, Hit]], filter: Filter
    ) -> list[tuple[int, Hit]]:
        """Return the hits, the long ones shortened where that loses nothing asked for."""
        asked = {t for t in terms(text) if t not in stop_terms()}
        return [(key, self._short(memory, hit, asked)) for key, hit in hits]

    def _short(self, memory: Memory, hit: Hit, asked: set[str]) -> Hit:
        full = hit.cube.text
        if len(full) <= self.longest or hit.cube.parents:
            return hit
        short = memory.rules.summarise([full], self.sentences)
        enough = short and len(short) < len(full) and asked & set(terms(full)) <= set(terms(short))
        return replace(hit, cube=replace(hit.cube, text=short)) if enough else hit
