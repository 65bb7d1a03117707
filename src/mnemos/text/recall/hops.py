"""Multi-hop retrieval: evidence is found step by step, over the entities that it shares, until it says all that is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mnemos.index.lexical import idf
from mnemos.index.terms import stop_terms, to_terms
from mnemos.registry import Paper, register
from mnemos.text.base import Ranking, View
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import term_posting, word_scores

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Proof = Literal["start", "supported", "refuted", "insufficient"]
DENIALS = frozenset(to_terms(["not", "never", "no", "nobody", "none", "without"]))
OPEN = 12  # texts that a path is continued with at most


@dataclass(frozen=True, slots=True)
class Path:
    """Texts that together may answer, in the order in which they were found."""

    texts: tuple[int, ...] = ()
    covered: frozenset[int] = frozenset()  # words of the question, by number
    links: float = 0.0  # how strongly each further text is bound to one before it, summed
    score: float = 0.0
    proof: Proof = "start"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a question, and where they and the rare terms of the space are."""

    weights: Floats  # (W,) idf, of the words that occur
    has: NDArray[np.bool_]  # (W, N)
    denies: NDArray[np.bool_]  # (N,) a text that denies, where the question does not, or the other way round
    first: NDArray[np.float32]  # (N,) BM25
    starts: Ints  # (N + 1,) rare terms of text i: terms[starts[i]:starts[i + 1]]
    terms: Ints  # numbers of rare terms
    within: list[Ints]  # the texts of each rare term
    rarity: Floats  # of each rare term, 0 to 1

    def bound(self, text: int) -> dict[int, float]:
        """Return the texts that share a rare term with one, and how rare the rarest is."""
        found: dict[int, float] = {}
        for term in self.terms[self.starts[text] : self.starts[text + 1]]:
            for other in self.within[term]:
                found[int(other)] = max(found.get(int(other), 0.0), float(self.rarity[term]))
        return found


@register(
    "hops",
    papers=(
        Paper(
            "Natural Logic-guided Autoregressive Multi-hop Document Retrieval for Fact Verification",
            "2212.05276",
            code="Raldir/AdMIRaL",
        ),
    ),
    baselines=("bm25",),
)
@dataclass(frozen=True, slots=True)
class Hops:
    """Find paths of texts: each next one says what of the question is not said yet, and shares an entity with those before.

    Hop 0 is BM25. A path scores by the weight of the question's words that it covers and by how rare the terms are that bind its
    texts; the best paths go on. It stops at the first path that an automaton accepts: every word of the question is said
    (supported, or refuted where one text denies it and the question does not), by texts that hang together. What is not
    proved within `hops` is ranked by the best path that there is.

    Deviations: a word stands for a span, equality for the operators of natural logic besides negation, and shared rare terms for
    the sequence model; nothing is trained. O(terms) a question to find the rare ones, some 20 ms for 6,000 cubes.
    """

    hops: int = 4  # texts of a path at most
    beam: int = 8  # paths that go on
    rare: int = 64  # texts that a term binds at most
    bridge: float = 0.5  # weight of being bound, relative to that of all words of the question
    stop: bool = True  # whether a proof ends the search; without, paths have `hops` texts
    needed: float = 0.999  # share of the question's weight that a proof has to cover

    uses_vector: ClassVar[bool] = False

    def rank(self, view: View, query: Query) -> Ranking:
        """Return the ranking: the texts of the best path first, in its order, then by BM25."""
        first = word_scores(view.corpus, query)
        path = self.prove(view, query).texts
        added = np.zeros(len(first), dtype=np.float32)
        for place, text in enumerate(path):
            added[text] = 2 - place / self.hops
        scores = view.visible(first + added)
        return Ranking(
            scores, lambda at: [{n: float(v[i]) for n, v in (("path", added), ("bm25", first)) if v[i]} for i in at]
        )

    def prove(self, view: View, query: Query) -> Path:
        """Return the best path of texts, with whether it says all that is asked; empty where no word occurs."""
        words = _read(view, query, self.rare)
        if not len(words.weights):
            return Path(proof="insufficient")
        paths, best = [Path()], Path(proof="insufficient")
        for _ in range(self.hops):
            longer = [more for path in paths for more in self._longer(path, words)]
            proved = [p for p in longer if p.proof in ("supported", "refuted")]
            if self.stop and proved:
                return max(proved, key=lambda p: p.score)
            unique = {frozenset(p.texts): p for p in sorted(longer, key=lambda p: p.score)}
            paths = sorted(unique.values(), key=lambda p: -p.score)[: self.beam]
            if not paths:
                break
            best = max([best, *paths], key=lambda p: p.score) if self.stop else paths[0]
        return best

    def _longer(self, path: Path, words: Words) -> list[Path]:
        """Return the path continued by each text that says more of the question or is bound to it, the best of them."""
        bound: dict[int, float] = {}
        for text in path.texts:
            for other, strength in words.bound(text).items():
                bound[other] = max(bound.get(other, 0.0), strength)
        left = np.array([w for w in range(len(words.weights)) if w not in path.covered], dtype=np.int64)
        gain = (
            words.weights[left] @ words.has[left] / words.weights.sum() if len(left) else np.zeros(words.has.shape[1])
        )
        gain = gain + 1e-3 * words.first  # among equals the better by BM25
        link = np.zeros(len(gain))
        for other, strength in bound.items():
            link[other] = strength
        total = np.where(np.isfinite(words.first), gain + (self.bridge * link if path.texts else 0.0), 0.0)
        total[list(path.texts)] = 0.0
        found = []
        for text in np.argsort(-total, kind="stable")[:OPEN].tolist():
            if total[text] <= 0 or not np.isfinite(words.first[text]):
                break
            covered = path.covered | {int(w) for w in np.flatnonzero(words.has[:, text])}
            longer = Path((*path.texts, text), covered, path.links + float(link[text]), path.score + float(total[text]))
            found.append(self._judged(longer, bool(link[text] or not path.texts), path.proof, words))
        return found

    def _judged(self, path: Path, hangs: bool, before: Proof, words: Words) -> Path:
        """Return the path with the state of the automaton after its last text.

        start, insufficient: more is to be found; a text that does not hang together with the others never proves anything.
        """
        said = words.weights[sorted(path.covered)].sum() >= self.needed * words.weights.sum()
        whole = hangs and (len(path.texts) == 1 or path.links > 0)
        proof: Proof = "insufficient"
        if said and whole and self._together(path, words):
            proof = "refuted" if words.denies[list(path.texts)].any() else "supported"
        return Path(path.texts, path.covered, path.links, path.score, proof)

    def _together(self, path: Path, words: Words) -> bool:
        """Tell whether the texts of a path are bound to each other, so that none stands apart."""
        left, reached = set(path.texts[1:]), [path.texts[0]]
        while reached:
            near = left & words.bound(reached.pop()).keys()
            left -= near
            reached += near
        return not left


def _read(view: View, query: Query, rare: int) -> Words:
    """Return what the paths are found by."""
    corpus: Corpus = view.corpus
    layout, n = corpus.layout(), len(corpus)
    has, weights = [], []
    for word in query.content:
        posting = term_posting(corpus, layout, word)
        there = np.zeros(n, dtype=bool)
        there[posting.positions] = True
        if (there := there & view.shown).any():
            has.append(there)
            weights.append(posting.weight)
    denied = np.zeros(n, dtype=bool)
    for word in DENIALS:
        if (found := corpus.words.posting(word)) is not None:
            denied[found.positions] = True
    denies = denied != bool(DENIALS & query.terms)
    # A word of the question binds nothing, since all speak of it, and a function word never does.
    asked = [p for w in (*query.content, *stop_terms()) if (p := corpus.words.posting(w)) is not None]
    own = {p.positions.tobytes() for p in asked}
    within = [
        kept.astype(np.int64)
        for positions in corpus.words.postings(rare)
        if positions.tobytes() not in own and len(kept := positions[view.shown[positions]]) > 1
    ]
    sizes = np.array([len(w) for w in within], dtype=np.int64)
    texts = np.concatenate(within) if within else np.zeros(0, dtype=np.int64)
    order = np.argsort(texts, kind="stable")
    most = max(idf(corpus.count, 2), 1e-9)
    return Words(
        np.array(weights),
        np.array(has).reshape(len(has), n),
        denies,
        view.visible(word_scores(corpus, query)),
        np.searchsorted(texts[order], np.arange(n + 1)),
        np.repeat(np.arange(len(within)), sizes)[order],
        within,
        np.array([idf(corpus.count, len(w)) / most for w in within]),
    )
