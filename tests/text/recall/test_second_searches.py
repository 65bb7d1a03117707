"""Searches in steps: feedback moves the question, and paths of evidence end where all is said."""

import numpy as np
import pytest

from mnemos.cube import utc_now
from mnemos.index.terms import index_terms
from mnemos.store.values import Changes, IndexRow
from mnemos.text.base import View
from mnemos.text.recall.ance_prf import AncePrf, FeedbackHead, FeedbackTower
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.hops import Hops
from mnemos.text.recall.query import make_query
from mnemos.text.recall.rocchio import Rocchio
from mnemos.text.recall.snapshot import Snapshot

FACTS = (
    "Rita is married to Bruno.", "Bruno works at Corticeira.", "Corticeira is based in Faro.", "Tom works at Nexa.",
    "Nexa is based in Faro.", "Nina works at Corticeira.", "Zoe plays chess.", "Rita plays chess.",
)  # fmt: skip


def view_of(texts, vectors=None):
    snapshot = Snapshot()
    vectors = [None] * len(texts) if vectors is None else np.asarray(vectors, dtype=np.float16)
    rows = [
        IndexRow(i, None, None, None, "turn", i, text, index_terms(text), vector, ())
        for i, (text, vector) in enumerate(zip(texts, vectors, strict=True), 1)
    ]
    snapshot.apply(Changes(1, rows, []))
    return View(snapshot.corpus, None, snapshot.corpus.alive.copy())


def asked(text, vector=None):
    return make_query(text, None if vector is None else np.array(vector), utc_now())


def test_rocchio_finds_what_is_near_the_first_hits_and_not_near_the_question():
    view = view_of("abcd", [[1.0, 0, 0], [0.9, 0.44, 0], [0.1, 0.99, 0], [0.0, -0.1, 0.99]])
    query = asked("x", [1.0, 0.0, 0.05])
    once, twice = Cosine().rank(view, query).scores, Rocchio(k=2).rank(view, query).scores
    assert twice[2] > once[2]
    assert twice[3] < once[3]
    towards = 0.4 * np.array([1, 0, 0.05]) / np.linalg.norm([1, 0, 0.05]) + 0.6 * view.corpus.vectors.rows[:2].mean(
        axis=0
    )
    assert np.allclose(twice, view.corpus.vectors.rows @ towards / np.linalg.norm(towards), atol=1e-3)


def test_a_feedback_head_that_changes_nothing_is_the_cosine_and_one_with_weights_is_rocchio():
    rng = np.random.default_rng(0)
    view = view_of("abcdef", rng.normal(size=(6, 4)))
    query = asked("x", rng.normal(size=4))
    none = FeedbackHead(np.zeros(2, np.float32), np.zeros((8, 1), np.float32), np.zeros((1, 4), np.float32))
    plain = Cosine().rank(view, query).scores
    assert np.allclose(AncePrf(k=2, head=none).rank(view, query).scores, plain, atol=1e-6)
    same = FeedbackHead(np.full(2, 0.75, np.float32), none.down, none.up)
    assert np.allclose(
        AncePrf(k=2, head=same).rank(view, query).scores, Rocchio(k=2).rank(view, query).scores, atol=1e-5
    )


def test_the_gradients_of_a_feedback_head_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    tower = FeedbackTower(
        rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(3, 2, 4)).astype(np.float32), rank=2
    )
    by = rng.normal(size=(3, 4)).astype(np.float32)
    slopes = {}

    class Part:
        def __init__(self, name, value):
            self.name, self.value = name, value

        def step(self, gradient):
            slopes[self.name] = gradient

    parts = [Part(n, rng.normal(size=s) / 3) for n, s in (("weights", 2), ("down", (8, 2)), ("up", (2, 4)))]
    tower._parts = tuple(parts)
    tower.learn(np.arange(3), by)
    for part in parts:
        for at in np.ndindex(part.value.shape):
            values = []
            for step in (1e-3, -2e-3):
                part.value[at] += step
                values.append(float((tower.vectors() * by).sum()))
            part.value[at] += 1e-3
            assert slopes[part.name][at] == pytest.approx((values[0] - values[1]) / 2e-3, abs=1e-2)


def found(claim, **options):
    path = Hops(**options).prove(view_of(FACTS), asked(claim))
    return {FACTS[i] for i in path.texts}, path.proof


@pytest.mark.parametrize(
    ("claim", "chain"),
    [
        ("Bruno works at Corticeira", {1}),
        ("Rita is married to who works at Corticeira", {0, 1}),
        ("Rita is married to who works at a company based in Faro", {0, 1, 2}),
    ],
)
def test_a_path_over_shared_names_stops_when_all_is_said(claim, chain):
    facts, proof = found(claim)
    assert (facts, proof) == ({FACTS[i] for i in chain}, "supported")
    assert len(found(claim, stop=False)[0]) == 4  # as many as it may


def test_words_that_are_all_said_by_texts_that_do_not_hang_together_prove_nothing():
    facts, proof = found("Zoe is based in Faro")
    assert proof == "insufficient"


def test_a_denial_refutes():
    view = view_of(("Rita does not work at Nexa.", "Tom works at Nexa."))
    assert Hops().prove(view, asked("Rita works at Nexa")).proof == "refuted"
    assert Hops().prove(view, asked("Tom works at Nexa")).proof == "supported"


def test_what_is_not_shown_is_on_no_path():
    view = view_of(FACTS)
    view.shown[1] = False
    path = Hops().prove(view, asked("Rita is married to who works at Corticeira"))
    assert 1 not in path.texts
    assert path.proof == "insufficient"


def test_no_word_no_path():
    assert Hops().prove(view_of(FACTS), asked("quantum chromodynamics")).texts == ()
