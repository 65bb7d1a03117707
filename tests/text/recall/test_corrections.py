"""A correction right after what it corrects is the first hit; an answer, another's words and a later thought are not."""

import pytest

from mnemos import Mnemos
from mnemos.text.recall.corrections import puts_right

PAIRS = [
    ("My flight is at 7:40.", "No, I meant 9:40.", "When is my flight?"),
    ("My flight leaves at 7:40.", "Sorry, 9:40.", "When does my flight leave?"),
    ("Our hotel is the Astoria.", "Oops, I meant the Bristol.", "Which hotel are we in?"),
    ("I was born in Graz.", "Correction: Linz.", "Where was I born?"),
    ("I'm allergic to peanuts.", "I mean walnuts, not peanuts.", "What am I allergic to?"),
    ("Mein Zug fährt um 8:15.", "Nein, ich meinte 8:45.", "Wann fährt mein Zug?"),
    ("Mi vuelo es a las 7.", "No, quise decir a las 9.", "¿A qué hora es mi vuelo?"),
    ("Mon train est à 8h15.", "Non, je voulais dire 8h45.", "À quelle heure est mon train ?"),
    ("Мой поезд в 8.", "Нет, я имела в виду в 9.", "Когда мой поезд?"),
    ("我的航班是7点。", "不对，我是说9点。", "我的航班几点？"),
]  # fmt: skip


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("corrections")) as memory:
        yield memory


@pytest.fixture
def space(memory, request):
    return memory.space(request.node.name)


def tell(space, *turns):
    """Store turns a minute apart, as (speaker, session, text)."""
    for minute, (speaker, session, text) in enumerate(turns):
        role = "assistant" if speaker == "Bot" else "user"
        space.add(text, speaker=speaker, role=role, session=session, at=f"2024-03-05T10:{minute:02}")


def first(space, question, **options):
    return space.search(question, **options)[0].cube.text


@pytest.mark.parametrize(("said", "correction", "question"), PAIRS)
def test_a_correction_comes_first_and_what_it_corrects_second(space, said, correction, question):
    tell(space, ("Ana", "s", "I watched a film."), ("Ana", "s", said), ("Bot", "s", "Noted!"), ("Ana", "s", correction))
    hits = [hit.cube.text for hit in space.search(question)]
    assert hits[:2] == [correction, said]
    assert first(space, question, k=1) == correction


def test_the_last_of_two_corrections_counts(space):
    tell(space, *[("Ana", "s", text) for text in ("My flight is at 7:40.", "No, I meant 9:40.", "Sorry, 9:50.")])
    assert first(space, "When is my flight?") == "Sorry, 9:50."


def test_what_corrects_nothing_stays_behind(space):
    said, question = "My flight is at 7:40.", "When is my flight?"
    for turns in (
        [("Ana", "s", said), ("Bot", "s", "Do you need a taxi at 6?"), ("Ana", "s", "No, I'll drive.")],
        [("Ana", "s", said), ("Bo", "s", "No, I meant 9:40.")],  # of somebody else's
        [("Ana", "s", said), ("Ana", "t", "No, I meant 9:40.")],  # in another conversation
        [("Ana", "s", said), ("Ana", "s", "Dinner is at 8."), ("Ana", "s", "No, I meant 9:40.")],  # of the dinner
    ):
        space.forget(everything=True) if space.count() else None
        tell(space, *turns)
        assert first(space, question) == said


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("I like tea.", "It's not tea time yet."), ("I live in Porto.", "No worries, see you on Friday."),
        ("I live in Porto.", "Sorry, do you mean Faro?"), ("I am 40.", "No 3 is my favourite of all the houses in this street."),
    ],
)  # fmt: skip
def test_other_words_put_nothing_right(said, text):
    assert not puts_right(said, text)
