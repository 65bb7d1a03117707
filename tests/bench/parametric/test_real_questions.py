"""Questions to a real model: what is learned is never worded as what is only asked, and answers are mixed item by item."""

from __future__ import annotations

import math
import random

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given
from hypothesis import strategies as st

from mnemos.bench.parametric import conversations
from mnemos.bench.parametric.real_questions import Answers
from mnemos.migrate.asked import Questions
from mnemos.parametric.base import Example

FOUND = [
    Example(f"Question: {asked}\nAnswer:", " Faro", context="Ana, 02 March 2024: Faro.\n\n")
    for asked in (
        "Where does Ana's sister Rita live?",
        "What did Bruno buy for his dog?",
        "Which song does Mei like best?",
    )
]


def test_what_is_learned_has_other_frames_than_what_is_asked():
    learned, asked = conversations.learned(FOUND, 0), conversations.held_out(FOUND)
    assert len(learned) > 2 * len(FOUND)
    assert len({e.prompt for e in learned}) == len(learned)
    assert not {e.prompt for e in learned} & {e.prompt for e in asked}
    frame = conversations.HELD_OUT.split("{}")
    assert all(not any(part.strip() and part.strip() in e.prompt for part in frame) for e in learned)
    assert not {conversations.question(e) for e in FOUND} & {e.prompt for e in asked}
    assert all(Questions.of({"a": FOUND}).asked(e.prompt) for e in asked)


@given(st.lists(st.sampled_from(["what", "did", "Ana", "buy", "in", "Faro", "May"]), min_size=1), st.integers(0, 99))
def test_a_question_with_fewer_words_keeps_their_order_and_is_never_empty(words, seed):
    left = conversations.fewer_words(" ".join(words) + "?", random.Random(seed))
    rest = iter(words)
    assert left != "?"
    assert all(word in rest for word in left.rstrip("?").split())


def test_sentences_of_general_text_have_no_headings():
    text = " = Title = \n \n The well @-@ known river rises in the hills . It runs to the sea for forty kilometres .\n short\n"
    assert conversations.general_sentences(text) == [
        "The well-known river rises in the hills .", "It runs to the sea for forty kilometres ."
    ]  # fmt: skip


def test_answers_are_taken_from_the_weights_where_a_prompt_asks_and_from_the_model_elsewhere():
    after = Answers({"recall": [1, 1, 0], "old": [0, 0]}, {"text": [(9.0, 2), (8.0, 4)]})
    before = Answers({"recall": [0, 0, 0], "old": [1, 1]}, {"text": [(4.0, 2), (6.0, 4)]})
    asks = Answers({"recall": [1, 0, 1], "old": [0, 0]}, {"text": [(0, 1), (1, 1)]})
    mixed = after.where(asks, before)
    assert mixed.right == {"recall": [1, 0, 0], "old": [1, 1]}
    assert mixed.losses == {"text": [(4.0, 2), (8.0, 4)]}
    assert mixed.measures() == {
        "recall": pytest.approx(1 / 3),
        "old": 1,
        "perplexity": {"text": pytest.approx(math.exp(2))},
    }
