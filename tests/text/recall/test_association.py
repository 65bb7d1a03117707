"""Association: which texts are remarks, and what stands out for one, against loops."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnemos.store.values import IndexRow
from mnemos.text.recall.association import TRUSTED
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.query import make_query
from mnemos.text.recall.signals import signals

NOW = datetime(2025, 6, 1, tzinfo=UTC)
numbers = st.floats(-1, 1, width=16).filter(lambda x: abs(x) > 0.05)
vectors = st.integers(2, 8).flatmap(lambda n: arrays.arrays(np.float16, (n, 4), elements=numbers))


def corpus_of(vectors, first="x"):
    """One word a cube: `first`, then x."""
    words = [first, *"x" * (len(vectors) - 1)]
    corpus = Corpus()
    corpus.add(
        [
            IndexRow(n, None, None, None, "turn", n, w, (w,), v, ())
            for n, (w, v) in enumerate(zip(words, vectors, strict=True), 1)
        ]
    )
    return corpus


def remark(vector, text="My heels are raw today"):
    return make_query(text, np.asarray(vector, dtype=np.float32), NOW)


@pytest.mark.parametrize(
    "text",
    [
        "I ended up volunteering for that project, and now I'm totally overwhelmed.",
        "There's a huge brown stain on the bedroom carpet.",
        "When my husband is late, I'm at the window counting cars.",
        "Had to pull over twice so I could get some air.",
        "The people next door have bought a cockerel.",
    ],
)
def test_what_tells_something_is_a_remark(text):
    assert make_query(text, None, NOW).remarks


@pytest.mark.parametrize(
    "text",
    [
        "Where does Ana's sister live?",
        "where does my sister live",
        "when is my dentist appointment",
        "Summarize the discussion about the remote control.",
        "Please tell me the name of my dentist.",
        "I'd like to know the name of my dentist.",
        "So what did we decide about the house",
        "dentist appointment Lisbon March",
        "my dentist",
        "Hast du den Zahnarzt erreicht?",
        "Ich habe die ganze Nacht kein Auge zugemacht.",  # English remarks only
        "回家发现客厅里住进了两只鸽子。",
    ],
)
def test_questions_orders_and_search_words_are_none(text):
    assert not make_query(text, None, NOW).remarks


@settings(deadline=None, max_examples=50)
@given(vectors, arrays.arrays(np.float32, 4, elements=numbers))
def test_a_cube_stands_out_by_its_centred_cosine(vectors, asked):
    found = signals(corpus_of(vectors), remark(asked))["association"]
    rows = np.array([v / np.linalg.norm(v) for v in vectors.astype(np.float64)])
    mean = rows.mean(axis=0)
    towards = asked / np.linalg.norm(asked) - mean
    cosines = np.array([(row - mean) @ towards / max(np.linalg.norm(row - mean), 1e-3) for row in rows])
    expected = (cosines - cosines.mean()) / max(cosines.std(), 1e-6)
    if cosines.std() > 1e-2 and min(np.linalg.norm(rows - mean, axis=1)) > 1e-2:  # else rounding decides
        assert found == pytest.approx(expected, abs=0.05)


def test_a_removed_cube_changes_nothing():
    east, north, up = np.eye(3, dtype=np.float16)
    whole, holed = corpus_of([east, north]), corpus_of([east, north, up])
    holed.remove([3])
    asked = remark([1, 0.5, 0.2])
    assert signals(holed, asked)["association"].tolist() == pytest.approx(
        [*signals(whole, asked)["association"].tolist(), 0], abs=1e-5
    )


def test_words_that_match_leave_little_of_it():
    rows = np.eye(3, dtype=np.float16)
    text = "my heel blister cream plaster hurts"
    strange, known = corpus_of(rows), corpus_of(rows, "heel")
    asked = remark([1, 0.5, 0.2], text)
    matched = signals(known, asked)["coverage"].max() * len(asked.content)
    share = signals(known, asked)["association"] / signals(strange, asked)["association"]
    assert share == pytest.approx(np.exp(-((matched / TRUSTED) ** 2)), abs=1e-4)
    assert matched > 0.5


def test_a_question_and_a_single_cube_have_none():
    rows = np.eye(2, dtype=np.float16)
    question = make_query("Where does my sister live?", np.ones(2, np.float32), NOW)
    assert "association" not in signals(corpus_of(rows), question)
    assert signals(corpus_of(rows[:1]), remark([1, 1]))["association"].tolist() == [0]
