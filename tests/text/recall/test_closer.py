"""A closer look: what has the name but not what is asked of it shows nothing, what answers is shown."""

import pickle

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.embed.minilm import MiniLM
from mnemos.text.recall import closer
from mnemos.text.recall.closer import CLEAR, FEATURES, LONGEST, answered, features, worth_it
from mnemos.text.recall.evidence import FEATURES as EVIDENCE

TOLD = [
    "My dentist is Dr Patel on Bridge Street.", "Our son Noah started judo in March.", "I drive a blue Skoda Octavia.",
    "We rent the top floor from Mrs Doyle.", "The cat sleeps on the boiler.", "My sister Hanna married a Finn.",
    "On Wednesdays I volunteer at the food bank.",
]  # fmt: skip


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("closer")) as memory:
        space = memory.space("ana")
        space.add_many({"content": text, "at": f"2024-05-0{i + 1}"} for i, text in enumerate(TOLD))
        yield space


@pytest.mark.parametrize("question", ["What is the name of my cat?", "Where does Noah work?"])
def test_what_is_only_near_is_not_shown(space, question):
    assert space.context(question) == ""
    assert space.context(question, min_score=0.0) != ""


@pytest.mark.parametrize(
    ("question", "answer"),
    [("Who's my dentist?", "Patel"), ("Which car do I drive?", "Skoda"), ("Who do we rent from?", "Doyle")],
)
def test_what_answers_is_shown(space, question, answer):
    assert answer in space.context(question)


@pytest.mark.parametrize("question", ["What is the name of my cat?", "How old is Noah?"])
def test_what_is_only_near_is_not_answerable_whatever_min_score_leaves_out(space, question):
    assert not space.search(question).answerable
    assert not space.search(question, min_score=0.9).answerable


@pytest.mark.parametrize("question", ["\x00", "\ufffd\x01", "\u200b"])
def test_a_question_of_which_the_model_sees_nothing_is_no_error(space, question):
    assert space.search(question).answerable in (True, False)
    assert isinstance(space.context(question), str)


def test_what_answers_is_answerable_in_any_copy_of_the_hits(space):
    found = space.search("Who's my dentist?")
    copied = pickle.loads(pickle.dumps(found))
    assert (copied.answerable, copied.confidence, list(copied)) == (True, found.confidence, list(found))


def test_nobody_looks_closer_before_it_is_asked(space, monkeypatch):
    looked = []
    monkeypatch.setattr(closer, "look", lambda judged, embedder: looked.append(judged.question))
    found = space.search("How old is Noah?")
    assert looked == []
    assert [found.answerable, found.answerable] == [found.confidence >= 0.5] * 2
    assert looked == ["How old is Noah?"]


@pytest.mark.parametrize(
    ("kind", "question", "says", "not_says"),
    [
        ("when", "An welchem Tag habe ich Chor?", "Am Donnerstag singe ich im Chor.", "Ich singe im Chor."),
        ("when", "¿Cuándo juego al pádel?", "Los jueves juego al pádel.", "Juego al pádel con Irene."),
        ("count", "Quanti anni ha Zenzero?", "Zenzero ha tredici anni.", "Zenzero è un gatto rosso."),
        ("count", "房租多少钱?", "房租是三千二。", "房租很贵。"),
        ("when", "When is Julian back?", "My assistant Julian is off until the ninth.", "Julian is my assistant."),
        ("name", "Wie heißt der Klempner?", "Der Klempner heißt Rui.", "der klempner war da"),
    ],
)
def test_an_answer_of_the_kind_that_is_asked_for_is_seen_in_several_languages(kind, question, says, not_says):
    assert closer._ASKS[kind].search(question)
    assert closer._says(kind, question, says)
    assert not closer._says(kind, question, not_says)


def test_features_are_those_of_the_first_texts_and_finite():
    model, table = MiniLM(), np.zeros((5, len(EVIDENCE)), dtype=np.float32)
    few = features("Who is Ana?", ["Ana is my sister.", "???", "x"], 0.5, table, model)
    more = features("Who is Ana?", ["Ana is my sister.", "???", "x", "Ana Ana", "?"], 0.5, table, model)
    assert few.shape == (len(FEATURES),)
    assert np.isfinite(few).all()
    assert few == pytest.approx(more)
    assert 0 <= answered("?", ["!"], 1.0, table, model) <= 1


def test_nobody_looks_at_what_is_clear_or_long():
    assert worth_it(CLEAR - 0.1, ["short"] * 3)
    assert not worth_it(CLEAR, ["short"] * 3)
    assert not worth_it(0.1, ["short", "word " * (LONGEST + 1)])
