"""Rereading: the first hits of a search in the order in which a cross-encoder thinks that they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mnemos.cube import Hit, MemCube
from mnemos.embed.cross_encoder import cross_encoder
from mnemos.index.language import is_english
from mnemos.index.terms import words_of
from mnemos.registry import Paper, register
from mnemos.store.base import Store
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.encode.messages import clean
from mnemos.text.recall.query import bounded

WHY = "read together"


@register(
    "cross-encoder",
    papers=(Paper("Passage Re-ranking with BERT", "1901.04085"),),
    unmeasured="`mnemos bench locomo` and `realtalk` measure it as a search method, beside hybrid",
)
@dataclass(frozen=True, slots=True)
class Reread:
    """Read each of the first hits together with the question, and add how likely it answers to its score.

    The likelier a hit answers the more standard deviations of the first scores are added to its own. English only: a question
    in another language keeps its order, and so do hits of which the first is known to hold now. Costs some 7 ms of a core for
    each chat turn that is read (`mnemos.embed.cross_encoder`).
    """

    least: ClassVar[int] = 20
    first: int = 20  # hits that are read
    weight: float = 0.5  # standard deviations for each unit of log-odds, chosen on the development half of BEAM

    def rerank(
        self, store: Store, asked: Asked, hits: Sequence[tuple[int, Hit]], filter: Filter, k: int
    ) -> list[tuple[int, Hit]]:
        """Return at most `k` hits, those that were read by their new scores, the others behind them."""
        top = hits[: self.first]
        if len(top) < 2 or asked.settled or not is_english(words_of(bounded(asked.text))):
            return list(hits[:k])
        odds = cross_encoder().log_odds(clean(bounded(asked.text)), [spoken(hit.cube) for _, hit in top])
        added = self.weight * float(np.std([hit.score for _, hit in top])) * (odds - odds.min())
        new = [
            (key, replace(hit, score=hit.score + more, why={**hit.why, WHY: more}))
            for (key, hit), more in zip(top, added.tolist(), strict=True)
        ]
        return [*sorted(new, key=lambda one: -one[1].score), *hits[self.first :]][:k]


def spoken(cube: MemCube) -> str:
    """Return a text as the cross-encoder reads it: after its speaker."""
    return f"{cube.speaker}: {cube.text}" if cube.speaker else cube.text
