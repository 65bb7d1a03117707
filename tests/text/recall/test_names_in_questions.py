"""Names of speakers are no part of what a question is near to."""

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.embed.hashing import HashingEmbedder
from mnemos.text.recall.names import without_speakers
from mnemos.text.search import embedded_words


class Remembers(HashingEmbedder):
    def __init__(self):
        super().__init__(64)
        self.asked = []

    def embed_questions(self, texts, *, progress=None):
        self.asked += texts
        return self.embed(texts)


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder=Remembers()) as memory:
        space = memory.space("ana")
        space.add("I moved to Lisbon.", speaker="Ana Silva")
        space.add("How lovely!", speaker="Bo")
        space.add("我在上海工作。", speaker="小明")
        yield space


@pytest.mark.parametrize(
    ("question", "embedded"),
    [
        ("Where did Ana move to?", "Where did move to?"),
        ("where does ana silva's sister live", "where does sister live"),
        ("Did Ana\u2019s sister and Bo meet in Lisbon?", "Did sister and meet in Lisbon?"),
        ("小明在哪里工作？", "在哪里工作？"),
        ("Where did Anastasia and Bob go?", "Where did Anastasia and Bob go?"),
        ("Who is Ana?", "Who is Ana?"),
        ("Ana", "Ana"),
        ("What rains in Spain?", "What rains in Spain?"),
    ],
)
def test_a_question_is_embedded_without_the_names_of_speakers(space, question, embedded):
    space.search(question)
    assert space.text.embedder.asked[-1] == embedded
    assert embedded_words(space.text, question) == embedded  # what servers embed before


def test_a_space_without_speakers_leaves_questions_as_they_are():
    assert without_speakers("Where does Ana live?", None) == "Where does Ana live?"


def test_what_is_near_a_phrase_is_found_with_its_names(space, monkeypatch):
    seen = []
    monkeypatch.setattr(Remembers, "embed_questions", lambda self, texts: seen.append(texts[0]) or np.ones((1, 64)) / 8)
    space.forget_preview(query="Ana moved")
    assert seen == ["Ana moved"]
