"""Tune the search of a space to its own use: `Space.tune`.

A query head is trained by ADORE (the stored vectors stay as they are), and the factors of the fusion are fitted, on the
questions whose answers were noted with `Space.used`. First three times without a third of the questions, which is then
ranked: what is not better on questions that it has not seen, or only by chance, is not installed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube, new_id
from mnemos.embed.base import embed_questions
from mnemos.embed.languages import fluency_of
from mnemos.errors import Conflict, InvalidInput
from mnemos.registry import register
from mnemos.store.setting import stored_value
from mnemos.store.values import Entry
from mnemos.text.base import Retriever
from mnemos.text.feedback import answered
from mnemos.text.memory import TextMemory
from mnemos.text.recall.adore import Adore
from mnemos.text.recall.factors import case, fit
from mnemos.text.recall.fusion import fuse, model
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.learning import Fixed, Training, reciprocal_ranks, train
from mnemos.text.recall.names import without_speakers
from mnemos.text.recall.query import Query, make_query
from mnemos.text.recall.query_head import HeadTower, QueryHead
from mnemos.text.recall.snapshot import Snapshot
from mnemos.text.recall.tuning import KEY, KIND, Tuning, model_of

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
LEAST = 30  # questions from which a tuning is tried
FOLDS = 3  # a third of the questions is held out, in turn; of the others a third chooses when to stop
TEXTS = 2_000  # that the head is trained against at most
BEST, NEAR = 60, 20  # candidates of a question by the fusion, and by words and vectors
K = 10
SURE = 0.05  # share of equally useless tunings that would pass the check
FLIPS = 2_000
ROUNDS, STEPS = 12, 25  # of the training, after each of which it may stop


@dataclass(frozen=True, slots=True)
class Tuned:
    """What `Space.tune` did. Figures are means over questions, each of which took no part in the fit that ranks it."""

    installed: bool
    reason: str
    questions: int = 0  # with answers that are still there
    before: float = 0.0  # nDCG@10 as it is shipped
    after: float = 0.0  # nDCG@10 tuned
    chance: float = 1.0  # share of random signs of the differences that look as good


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with feedback."""

    query: Query
    used: Ints  # positions
    fold: int  # with which it is held out
    part: int  # 1: chooses, above: fits, wherever it is not held out


@dataclass(frozen=True, slots=True)
class Setup:
    """What a tuning is fitted on: a snapshot of its own, so that searches go on."""

    snapshot: Snapshot
    shown: Bools
    asked: list[Asked]

    def without(self, fold: int) -> Setup:
        """Return the setup without the questions of a fold."""
        return replace(self, asked=[a for a in self.asked if a.fold != fold])

    def of(self, *parts: int) -> list[Asked]:
        """Return the questions that choose (1) or fit (2)."""
        return [a for a in self.asked if min(a.part, 2) in parts]

    def ndcg(self, retriever: Retriever, asked: Sequence[Asked]) -> NDArray[np.float64]:
        """Return nDCG@10 of each question."""
        keys, discount = self.snapshot.corpus.keys, 1 / np.log2(np.arange(2, K + 2))
        found = []
        for a in asked:
            hits = self.snapshot.rank(retriever, a.query, K, allow=self.shown)
            gain = np.isin([h.key for h in hits], keys[a.used]) @ discount[: len(hits)]
            found.append(gain / discount[: len(a.used)].sum())
        return np.array(found)


@register("tune")
def tune(
    memory: TextMemory,
    preview: bool = False,  # only say what it would do
    undo: bool = False,  # erase what was installed instead
) -> Tuned:
    """Fit a query head and factors of the fusion to a space's feedback, and install them if they are better (ours).

    Each question is ranked by a tuning that was fitted without it: nDCG@10 must be higher than as it is shipped, and so much
    that of random signs of the differences at most 5 % do as well. What is installed is fitted on all questions. With
    `preview` nothing is installed; with `undo` what was installed is erased, and the feedback stays. Takes seconds. Raises
    InvalidInput for fewer than 30 questions, and for a space whose system does not search by `hybrid`; Conflict if a memory is
    erased or updated meanwhile.
    """
    if undo:
        return Tuned(False, "what was installed is erased" if _erase(memory) else "nothing was installed")
    base = memory.system.retrieve
    if not isinstance(base, Hybrid):
        raise InvalidInput(f"the system of space {memory.name!r} does not search by `hybrid`, so nothing can be tuned.")
    setup = _setup(memory)
    before, after = setup.ndcg(base, setup.asked), np.zeros(len(setup.asked))
    for fold in range(FOLDS):
        held = np.array([a.fold == fold for a in setup.asked])
        if held.any() and not held.all():
            found, _ = _fitted(setup.without(fold), base)
            after[held] = setup.ndcg(found, [a for a in setup.asked if a.fold == fold])
    result = _judged(before, after, preview)
    if result.installed:
        found, read_from = _fitted(setup, base)
        _install(memory, found, result, setup.snapshot.corpus.keys[read_from])
    return result


def _judged(before: NDArray[np.float64], after: NDArray[np.float64], preview: bool) -> Tuned:
    """Return what is to be done, by nDCG@10 of each question before and after."""
    chance, gain = by_chance(after - before), float((after - before).mean())
    figures = f"nDCG@{K} of {len(before)} questions, unseen: {before.mean():.3f} as shipped, {after.mean():.3f} tuned"
    better = gain > 0 and chance <= SURE
    if better:
        reason = f"{'would be installed' if preview else 'installed'}: {figures}"
    else:
        doubt = f", and {chance:.0%} of useless tunings would look as good" if gain > 0 else ""
        reason = f"not installed, since it is not better: {figures}{doubt}"
    return Tuned(better and not preview, reason, len(before), float(before.mean()), float(after.mean()), chance)


def _erase(memory: TextMemory) -> bool:
    """Erase what was installed; return whether there was anything."""
    store = memory.store
    with store.transaction():
        key = memory.tuning.key()
        store.erase(store.ids_of([key]) if key else [])
        store.meta.set(KEY, "")
    return bool(key)


def by_chance(differences: NDArray[np.float64]) -> float:
    """Return the share of random signs of the differences whose mean is as large (a paired permutation test)."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (FLIPS, len(differences)))
    return float((1 + np.sum(signs @ differences >= differences.sum() - 1e-12)) / (1 + FLIPS))


def _setup(memory: TextMemory) -> Setup:
    """Return the questions whose answers are still searched, and a snapshot of the space."""
    snapshot = Snapshot()
    snapshot.apply(memory.store.changes(0, memory.model_key()))
    corpus, questions = snapshot.corpus, answered(memory)
    if stored_value(memory.store, "linked", int):
        snapshot.link(memory.store.links.keys("similar"))
    mask = snapshot.default_mask()
    shown = corpus.alive if mask is None else corpus.alive & mask
    kept: list[tuple[str, MemCube, Ints]] = []
    for text, (cube, ids) in questions.items():
        at = corpus.positions(np.array(memory.store.keys_of(sorted(ids)), dtype=np.int64))
        if len(at := at[shown[at]]):
            kept.append((text, cube, at))
    if len(kept) < LEAST:
        raise InvalidInput(
            f"space {memory.name!r} has {len(kept)} questions whose answers were noted and are still there; {LEAST} are needed. "
            "Note them with used(question, ids)."
        )
    vectors = None
    if memory.embedder is not None:
        vectors = embed_questions(memory.embedder, [without_speakers(text, corpus) for text, _, _ in kept])
    fluency = fluency_of(memory.embedder)
    asked = [
        Asked(make_query(text, None if vectors is None else vectors[i], cube.at, fluency), at, *_split(text))
        for i, (text, cube, at) in enumerate(kept)
    ]
    return Setup(snapshot, shown, asked)


def _split(text: str) -> tuple[int, int]:
    """Return the fold of a question and its part, always the same for a question."""
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return number % FOLDS, 1 + number // FOLDS % FOLDS


def _fitted(setup: Setup, base: Hybrid) -> tuple[Hybrid, Ints]:
    """Return the tuned retriever that does best on the questions that choose, and the positions that it was fitted on."""
    head, texts = _head(setup)
    factors, seen = _factors(setup, base, setup.of(2))
    options = [replace(base, head=None, factors=factors)]
    if head is not None:
        options += [replace(base, head=head, factors={}), replace(base, head=head, factors=factors)]
    choose = setup.of(1)
    best = max(options, key=lambda o: float(setup.ndcg(o, choose).mean()) if choose else 0.0)
    if best.factors:
        factors, more = _factors(setup, base, setup.of(1, 2))
        best, seen = replace(best, factors=factors), seen | more
    return best, np.array(sorted(seen | set(texts.tolist())), dtype=np.int64)


def _head(setup: Setup) -> tuple[QueryHead | None, Ints]:
    """Return a query head, or None where none is better on the questions that choose, and the texts that it has seen."""
    index = setup.snapshot.corpus.vectors
    fitting, choosing = setup.of(2), setup.of(1)
    there = setup.shown & index.present
    asked = [a for a in (*fitting, *choosing) if a.query.vector is not None and there[a.used].any()]
    if not asked:
        return None, np.zeros(0, dtype=np.int64)
    vectors = np.stack([np.asarray(a.query.vector, dtype=np.float32) for a in asked])
    gold = {int(i) for a in asked for i in a.used if there[i]}
    each = max(1, (TEXTS - min(len(gold), TEXTS)) // len(asked))
    near: set[int] = set()
    for v in vectors:
        scores = np.where(there, index.scores(v), -np.inf)
        near |= set(np.argsort(-scores, kind="stable")[: min(each, int(there.sum()))].tolist())
    texts = np.array(sorted(gold | near), dtype=np.int64)
    rows = index.rows[texts]
    answers = [np.flatnonzero(np.isin(texts, a.used)) for a in asked]
    n = sum(1 for a in asked if a.part > 1)
    tower = HeadTower(vectors[:n])
    best, kept = -1.0, None
    for turn in range(ROUNDS + 1):
        head = tower.head()
        mapped = vectors[n:] if not turn else head(vectors[n:])
        score = float(reciprocal_ranks(mapped, rows, answers[n:]).mean()) if len(asked) > n else 0.0
        if score > best + (1e-6 if turn else 0.0):
            best, kept = score, head if turn else None
        train(tower, Fixed(rows), answers[:n], Adore(), Training(STEPS, seed=turn))
    return kept, texts


def _factors(setup: Setup, base: Hybrid, asked: Sequence[Asked]) -> tuple[dict[str, float], set[int]]:
    """Return the factors that fit some questions, and the positions that were their candidates.

    By the question's own vector: a head that was trained on these questions would make meaning look too good.
    """
    cases, seen = [], set[int]()
    mapped = replace(base, head=None)
    for a in asked:
        told, name = mapped.read(setup.snapshot.corpus, a.query, setup.shown)
        by = model("cubes" + name).weights(told.cues)
        rankings = [(fuse(told.signals, by), BEST), (told.signals["words"], NEAR)]
        rankings += [(told.signals["cosine"], NEAR)] if "cosine" in told.signals else []
        at = set(a.used.tolist())
        for scores, most in rankings:
            order = np.argsort(-np.where(setup.shown, scores, -np.inf), kind="stable")[:most]
            at |= set(order[setup.shown[order]].tolist())
        places = np.array(sorted(at), dtype=np.int64)
        cases.append(case(told.signals, by, places, np.isin(places, a.used)))
        seen |= at
    return fit(cases), seen


def _install(memory: TextMemory, found: Hybrid, result: Tuned, keys: Ints) -> None:
    """Store a tuning as a cube that is derived from what it was fitted on, in the place of the one before."""
    now, store = memory.now(), memory.store
    report = {
        "questions": result.questions, "before": round(result.before, 4), "after": round(result.after, 4),
        "chance": round(result.chance, 4),
    }  # fmt: skip
    tuning = Tuning(model_of(memory.embedder) or ("none", "", 0), dict(found.factors), found.head, report)
    parents = tuple(store.ids_of(keys.tolist()))
    cube = MemCube(
        id=new_id(), text="", space=memory.name, at=now, learned=now, form="parametric", kind=KIND, source="mnemos",
        parents=parents, metadata=tuning.to_json(),
    )  # fmt: skip
    with store.transaction():
        if sorted(store.keys_of(parents)) != sorted(keys.tolist()):
            raise Conflict("a memory that the tuning was fitted on was erased or updated meanwhile. Run it again.")
        _erase(memory)
        store.meta.set(KEY, str(store.insert([Entry(cube, ())], None)[0]))
