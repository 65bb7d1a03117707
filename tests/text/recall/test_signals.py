"""The signals against plain loops over a small conversation."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.index.lexical import idf
from mnemos.store.values import IndexRow
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.fusion import model
from mnemos.text.recall.layout import WINDOWS
from mnemos.text.recall.query import Query
from mnemos.text.recall.signals import SIGNALS, signals, word_scores

turns = st.lists(
    st.tuples(
        st.sampled_from([None, "s1", "s2"]),
        st.integers(0, 3),
        st.lists(st.sampled_from("abcd"), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=14,
)


def row(n, session=None, at=0, terms=("x",), speaker=None, vector=None, text="x", role=None, kind="turn", dates=()):
    return IndexRow(n, session, speaker, role, kind, at, text, tuple(terms), vector, dates)


def query(content, **given):
    values = {
        "terms": frozenset(content), "content": tuple(content), "vector": None, "span": None, "asks_when": False,
        "asks_number": False, "says_i": False, "says_you": False,
    }  # fmt: skip
    return Query(**{**values, **given})


def corpus_of(rows):
    corpus = Corpus()
    corpus.add(rows)
    return corpus


def window(rows, i, reach):
    """The rows around row i in its session, in time order; a cube without a session stands alone."""
    if rows[i].session is None:
        return [rows[i]]
    mates = sorted((r for r in rows if r.session == rows[i].session), key=lambda r: (r.at, r.key))
    place = mates.index(rows[i])
    return mates[max(place - reach, 0) : place + reach + 1]


def reference(rows, content, reach):
    """BM25 and coverage of windows, by loops, as shares of the question's whole weight."""
    documents = [[t for r in window(rows, i, reach) for t in r.terms] for i in range(len(rows))]
    mean = np.mean([len(d) for d in documents])
    df = {t: sum(t in r.terms for r in rows) for t in content}
    weight = {t: idf(len(rows), df[t]) for t in content}
    scores, covers = [], []
    for document in documents:
        counts, norm = Counter(document), 1.2 * (0.25 + 0.75 * len(document) / mean)
        scores.append(sum(weight[t] * counts[t] / (counts[t] + norm) for t in content) / sum(weight.values()))
        covers.append(sum(weight[t] for t in content if counts[t]) / sum(weight.values()))
    return scores, covers


@settings(deadline=None)
@given(turns)
def test_words_near_and_around_are_bm25_of_windows(data):
    rows = [row(n, *turn) for n, turn in enumerate(data, 1)]
    found = signals(corpus_of(rows), query(["a", "b", "z"]))
    for reach, suffix in zip((0, *WINDOWS), ("", "_near", "_around"), strict=True):
        scores, covers = reference(rows, ["a", "b", "z"], reach)
        assert found["bm25" + suffix] == pytest.approx(scores, abs=1e-5)
        assert found["coverage" + suffix] == pytest.approx(covers, abs=1e-5)
    assert word_scores(corpus_of(rows), query(["a", "b", "z"])) == pytest.approx(found["bm25"])


@settings(deadline=None)
@given(turns, st.data())
def test_a_corpus_with_rows_removed_is_like_one_that_never_had_them(data, draw):
    rows = [row(n, *turn) for n, turn in enumerate(data, 1)]
    gone = draw.draw(st.sets(st.sampled_from([r.key for r in rows]), max_size=len(rows) - 1))
    kept = [r for r in rows if r.key not in gone]
    holed = corpus_of(rows)
    holed.remove(sorted(gone))
    asked = query(["a", "b"])
    expected, found = signals(corpus_of(kept), asked), signals(holed, asked)
    for name, values in found.items():
        assert values[holed.alive] == pytest.approx(expected[name], abs=1e-5), name


def test_meaning_comes_from_the_turn_its_neighbours_and_its_session():
    east, north = np.array([1, 0], np.float16), np.array([0, 1], np.float16)
    rows = [row(1, "s", 1, vector=east), row(2, "s", 2, vector=north), row(3, None, 3, vector=east)]
    found = signals(corpus_of(rows), query(["q"], vector=np.array([1.0, 0.0])))
    assert found["cosine"].tolist() == [1, 0, 1]
    assert found["cosine_before"].tolist() == [0, 1, 0]
    assert found["cosine_after"].tolist() == [0, 0, 0]
    assert found["session_cosine"].tolist() == [0.5, 0.5, 0]
    assert found["session_best_cosine"].tolist() == [1, 1, 0]


def test_a_named_speaker_counts_unless_all_are_named():
    rows = [row(1, speaker="Ana Lima"), row(2, speaker="Bo"), row(3)]
    assert signals(corpus_of(rows), query(["ana", "cat"]))["speaker"] == pytest.approx(
        [2 / 3, 0, 0]
    )  # two of three speak
    assert "speaker" in signals(corpus_of(rows), query(["bo"]))
    assert "speaker" not in signals(corpus_of(rows), query(["ana", "bo"]))


def test_time_is_when_it_happened_or_what_it_speaks_of():
    rows = [row(1, at=5), row(2, at=50), row(3, at=50, dates=((4, 8),)), row(4, at=50, dates=((10, 20),))]
    assert signals(corpus_of(rows), query(["x"], span=(0, 10)))["time"].tolist() == [1, 0, 1, 0]
    found = signals(corpus_of(rows), query(["x"], asks_when=True))
    assert found["date"].tolist() == [0, 0, 1, 1]


def test_every_weight_is_of_a_signal_that_there_is():
    rows = [row(1, "s", speaker="Ana", role="user", vector=np.ones(2, np.float16)), row(2, speaker="Bo")]
    asked = query(
        ["ana"],
        vector=np.ones(2),
        span=(0, 1),
        asks_when=True,
        asks_number=True,
        says_i=True,
        says_you=True,
        remarks=True,
    )
    assert set(signals(corpus_of(rows), asked)) == set(SIGNALS) >= set(model("cubes").signals)


def test_only_the_turns_of_an_assistant_count_as_its_talk():
    rows = [row(1, role="assistant"), row(2, role="assistant", kind="fact"), row(3, role="user")]
    assert signals(corpus_of(rows), query(["x"]))["assistant"].tolist() == [1, 0, 0]
