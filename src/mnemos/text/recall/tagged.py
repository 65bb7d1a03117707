"""Tags first: what shares a tag with the question, then the asked time, then what fits by its vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mnemos.registry import register
from mnemos.text.base import Ranking, View
from mnemos.text.encode.tags import tags_of_terms, words_of_tags
from mnemos.text.recall.query import Query
from mnemos.text.recall.self_contained import CAIM

Bools = NDArray[np.bool_]


@register(
    "tagged",
    baselines=("cosine",),
    unmeasured="`mnemos bench systems` measures it within caim",
    papers=(CAIM,),
)
@dataclass(frozen=True, slots=True)
class Tagged:
    """Rank by cosine what shares a tag of the fixed ontology with the question, of the time that it asks for, if any.

    What fits far worse than the best is no hit. A memory without the tag is one only if it fits better than all that have
    it; a question without a tag is ranked by cosine alone. O(N D), and the postings of the words of some tags.

    Deviations: words decide the tags and the cosine the fit, where the paper asks a model three times.
    """

    uses_vector: ClassVar[bool] = True
    fit: float = 0.4  # share of the best cosine that a hit has, at least

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking; 0 for what is filtered out."""
        corpus = view.corpus
        cosine = np.zeros(len(corpus), np.float32) if query.vector is None else corpus.vectors.scores(query.vector)
        kept = view.shown.copy()
        tagged = kept & self._with_tags(view, query)
        if tagged.any():
            kept &= tagged | (cosine > cosine[tagged].max())
        if query.span is not None and (inside := kept & _of_time(view, query.span)).any():
            kept = inside
        best = float(cosine[kept].max()) if kept.any() else 0.0
        kept &= cosine >= self.fit * best
        scores = view.visible(np.where(kept, cosine, 0).astype(np.float32))
        return Ranking(scores, lambda positions: [{"cosine": float(scores[i])} for i in positions])

    def _with_tags(self, view: View, query: Query) -> Bools:
        """Return which memories share a tag with the question, (N,); none where it has no tag."""
        found = np.zeros(len(view.corpus), dtype=bool)
        tags = tags_of_terms(query.terms)
        for word in words_of_tags(tags) if tags else ():
            posting = view.corpus.words.posting(word)
            if posting is not None:
                found[posting.positions] = True
        return found


def _of_time(view: View, span: tuple[int, int]) -> Bools:
    """Return which memories happened in a span, or mention a date of it, (N,)."""
    corpus = view.corpus
    found = np.asarray((corpus.at >= span[0]) & (corpus.at < span[1]))
    dates = corpus.spans()
    found[dates[(dates[:, 1] < span[1]) & (dates[:, 2] > span[0]), 0]] = True
    return found
