"""A view that is changed in place scores as one that is made from the rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mnemos.cube import MemCube, from_micros, to_micros
from mnemos.embed.languages import fluency_of
from mnemos.index.terms import index_terms
from mnemos.store.open import open_root
from mnemos.store.values import DateRow, Entry
from mnemos.text.recall import moments
from mnemos.text.recall.evidence import evidence
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.layout import PAUSE
from mnemos.text.recall.query import make_query
from mnemos.text.recall.signals import read
from mnemos.text.recall.snapshot import Snapshot
from mnemos.text.recall.view import CurrentView

HOUR = 3_600_000_000
T0 = 1_700_000_000_000_000
TEXTS = (
    "Rita moved to Porto.", "Does Rita like Porto?", "Ben has two dogs and a cat", "Am Samstag war die Hausverwaltung da",
    "the dogs of Ben were in Porto with Rita on Sunday", "hello", "Die Verwaltung schrieb dem Haus", "a b c d e f g h",
)  # fmt: skip
QUESTIONS = (
    "When did Rita go to Porto?",
    "dogs",
    "Ben has two dogs and a cat",
    "Verwaltung",
    "I like cats, Ben",
    "zzz",
)
ACTIONS = ("add", "add", "add", "add", "replace", "supersede", "archive", "unarchive", "erase", "embed")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.integers(0, 30),  # which cube
        st.sampled_from(range(len(TEXTS))),
        st.sampled_from([None, "s", "t", "u"]),
        st.sampled_from([None, "Rita", "Ben"]),
        st.sampled_from([0, 0, 1, 2, 5, 30, 31, -4, -40]).map(lambda hours: T0 + hours * HOUR),
    ),
    min_size=1,
    max_size=25,
)


class Told:
    """A space that steps are told to, without the judgements of an updater."""

    def __init__(self, store):
        self.store, self.model, self.clock, self.ids = store, store.vectors.model("m", "1", 4), T0, []
        self.rng = np.random.default_rng(1)

    def do(self, action, which, text, session, speaker, at):
        self.clock += HOUR
        name = self.ids[which % len(self.ids)] if self.ids else ""
        old = self.store.get([name]).get(name)
        if action == "add":
            self.ids.append(f"c{len(self.ids)}")
            kind = "summary" if which == 30 else "turn"
            role = [None, "user", "assistant"][which % 3]
            at, now = from_micros(at), from_micros(self.clock)
            cube = MemCube(
                id=self.ids[-1], text=TEXTS[text], space="s", at=at, learned=now, session=session, speaker=speaker,
                role=role, kind=kind,
            )  # fmt: skip
            self.store.insert([self.entry(cube)], self.model)
        elif old is None:
            return
        elif action == "replace":
            new = replace(old, text=TEXTS[text], version=old.version + 1, learned=from_micros(self.clock))
            self.store.replace(self.entry(new), self.model)
        elif action == "supersede" and old.state == "active":
            self.store.lives.supersede(name, self.clock, self.clock)
        elif action == "archive":
            self.store.lives.set_state([name], "active", "archived")
        elif action == "unarchive":
            self.store.lives.set_state([name], "archived", "active")
        elif action == "erase":
            self.store.erase([name])
        elif action == "embed":
            self.store.vectors.put(self.model, [(self.store.keys_of([name])[0], self.vector())])

    def vector(self):
        return self.rng.normal(size=(3, 4) if self.rng.random() < 0.3 else 4).astype(np.float16)

    def entry(self, cube):
        start = to_micros(cube.at)
        dates = (DateRow(start, start + 24 * HOUR, cube.text[:2], 0, 2, "day", False),) if "Sunday" in cube.text else ()
        return Entry(cube, tuple(index_terms(cube.text)), self.vector() if self.rng.random() < 0.9 else None, dates)


def asked(text, store):
    return make_query(text, np.arange(4) / 4 + 0.1, from_micros(T0 + timedelta(days=2).seconds), fluency_of(None))


def scores(snapshot, question, store):
    """Everything that a search computes of the cubes that are alive, by key, and of the space."""
    corpus = snapshot.corpus
    query = asked(question, store)
    told = read(corpus, query, corpus.alive)
    alive = np.flatnonzero(corpus.alive)
    found = {(name, int(corpus.keys[i])): float(values[i]) for name, values in told.signals.items() for i in alive}
    ranked = snapshot.rank(Hybrid(), query, 5)
    found |= {("rank", i): r.score for i, r in enumerate(ranked)}
    best = corpus.positions(np.array([r.key for r in ranked], dtype=np.int64))
    if len(best):
        found |= {
            ("evidence", *place): float(value)
            for place, value in np.ndenumerate(evidence(corpus, query, question, best))
        }
    found |= {("session", r.session): r.score for r in snapshot.rank_sessions(Hybrid(), query, 5)}
    return found | told.cues | {("speaker", corpus.named_speaker(question)): 1.0, "roles": float(corpus.has_roles)}


def assert_equal(kept, fresh):
    assert kept.keys() == fresh.keys()
    # sums of float32 in another order: scores are up to some 30
    assert kept == pytest.approx(fresh, rel=1e-5, abs=3e-5)


@pytest.mark.parametrize("imported", [20, 3])
@settings(deadline=None, max_examples=12, phases=[Phase.generate])
@given(STEPS, st.integers(2, 5))
def test_a_view_changed_in_place_scores_as_one_made_from_the_rows(tmp_path_factory, imported, steps, often):
    moments.IMPORT, before = imported, moments.IMPORT
    store = open_root(tmp_path_factory.mktemp("view"), "tester", lambda: from_micros(T0)).open("s")
    try:
        told = Told(store)
        view = CurrentView(store, "s")
        for i, step in enumerate(steps, 1):
            told.do(*step)
            if i % often and i < len(steps):
                continue
            fresh = Snapshot()
            fresh.load(store.changes(0, told.model))
            kept = view.read(lambda snapshot: snapshot, told.model, None)
            assert len(kept) == len(fresh)
            if not len(fresh):
                continue
            for question in QUESTIONS:
                assert_equal(scores(kept, question, store), scores(fresh, question, store))
        for moment in range(T0, told.clock + HOUR, 7 * HOUR):
            rows = store.changes(0, told.model, closed=True).rows
            rows = [
                replace(r, replaced=None, archived=False)
                for r in rows
                if r.learned <= moment < (r.replaced or told.clock + 1)
            ]
            fresh, past = Snapshot(), view._believed(view._present(told.model, None), moment, told.model)
            fresh.corpus.add(rows)
            assert len(past) == len(fresh)
            if len(fresh):
                question = QUESTIONS[moment // HOUR % len(QUESTIONS)]
                assert_equal(scores(past, question, store), scores(fresh, question, store))
    finally:
        moments.IMPORT = before
        store.close()


def test_a_pause_that_a_turn_fills_makes_two_talks_one_and_its_removal_two_again(tmp_path):
    store = open_root(tmp_path, "tester", lambda: from_micros(T0)).open("s")
    told, view = Told(store), CurrentView(store, "s")
    for at in (T0, T0 + PAUSE + HOUR):
        told.do("add", 0, 0, "s", None, at)
    talk = lambda: view.read(lambda snapshot: snapshot.corpus.layout().talk.tolist(), told.model, None)  # noqa: E731
    assert talk() == [0, 1]
    told.do("add", 0, 1, "s", None, T0 + PAUSE // 2 + HOUR)
    assert talk() == [0, 0, 0]
    told.do("archive", 2, 0, None, None, T0)
    assert talk() == [0, 1, -1]
    store.close()
