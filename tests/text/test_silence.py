"""Silence: where nothing that was told answers, a search says so and context is empty."""

import warnings

import pytest

from mnemos import Hit, Hits, Mnemos
from mnemos.errors import InvalidInput

TOLD = [
    "I moved to Faro last May.", "Rita keeps bees on the roof.", "The boiler is serviced by Mr Okafor.",
    "My passport expires in 2027.", "We have dinner at eight on Fridays.", "The piano needs tuning.",
    "Rita is allergic to penicillin.", "Staging runs on port 7070.",
]  # fmt: skip
ASKED = "What is Rita allergic to?"
NOWHERE = "Which submarine did Olga Petrova command?"


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("silence")) as memory:
        memory.space("ana").add_many({"content": text, "at": f"2024-05-0{i + 1}"} for i, text in enumerate(TOLD))
        memory.space("bo").add("The tram stops at Olga's.")
        yield memory


@pytest.fixture(scope="module")
def space(memory):
    return memory.space("ana")


def test_what_answers_has_a_high_relevance_and_what_does_not_a_low_one(space):
    first, *others = space.search(ASKED)
    assert first.cube.text == "Rita is allergic to penicillin."
    assert first.relevance > 0.5 > max(hit.relevance for hit in others)
    assert max(hit.relevance for hit in space.search(NOWHERE)) < 0.2


def test_a_search_says_whether_anything_answers(space):
    assert space.search(ASKED).answerable
    assert space.search(ASKED).confidence > 0.5
    nothing = space.search(NOWHERE)
    assert len(nothing) > 0
    assert not nothing.answerable
    assert nothing.confidence < 0.2


def test_confidence_does_not_depend_on_how_many_hits_there_are(memory, space):
    ten = space.search(ASKED, k=10).confidence
    assert [space.search(ASKED, k=k).confidence for k in (1, 3, 20)] == pytest.approx([ten] * 3, abs=0.1)
    assert memory.space("bo").search("Where does the tram stop?").answerable  # its only text


@pytest.mark.parametrize("least", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("method", ["hybrid", "words", "vectors"])
def test_min_score_keeps_the_relevant_hits_in_their_order(space, least, method):
    every = space.search(ASKED, method=method)
    kept = space.search(ASKED, method=method, min_score=least)
    assert [hit.cube.id for hit in kept] == [hit.cube.id for hit in every if hit.relevance >= least]
    assert (kept.confidence, kept.answerable) == (every.confidence, every.answerable)


def test_context_is_empty_where_nothing_answers_unless_it_is_asked_for(space):
    assert space.context(NOWHERE) == ""
    assert "penicillin" in space.context(ASKED)
    assert space.context(NOWHERE, min_score=0.0).count(" | ") > 3
    sure = space.context(ASKED, min_score=0.5)
    assert "penicillin" in sure
    assert "piano" not in sure


def test_an_empty_space_answers_nothing(tmp_path):
    with Mnemos(tmp_path) as memory:
        found = memory.space("new").search(ASKED)
    assert (list(found), found.confidence, found.answerable) == ([], 0.0, False)


def test_words_alone_are_enough_to_tell(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add_many({"content": text} for text in TOLD)
        assert space.search(ASKED).answerable
        assert not space.search("Which penicillin does Olga Petrova command in submarines?", k=1, session="x")
        assert space.search(NOWHERE) == []


def test_several_spaces_are_as_sure_as_the_surest(memory):
    both = memory.search(ASKED, spaces=["ana", "bo"])
    assert both.answerable
    assert both.confidence == memory.space("ana").search(ASKED).confidence
    assert {hit.space for hit in memory.search(ASKED, spaces=["ana", "bo"], min_score=0.5)} == {"ana"}


def test_what_was_believed_earlier_is_judged_by_what_there_was(space):
    then = space.search(ASKED, as_of="2999-01-01")
    assert then[0].relevance == pytest.approx(space.search(ASKED)[0].relevance, abs=0.01)


@pytest.mark.parametrize("wrong", [-0.1, 1.5, "high", True])
def test_a_wrong_min_score_is_refused(space, wrong):
    with pytest.raises(InvalidInput, match="min_score"):
        space.search(ASKED, min_score=wrong)


def test_a_hit_keeps_its_relevance_as_json(space):
    hit = space.search(ASKED)[0]
    assert Hit.from_dict(hit.to_dict()) == hit
    assert Hits([hit], 0.5, True)[:1] == [hit]


DIARY = [
    "We painted the balcony.", "The trams were late.", "A long walk with the dog.", "Rita signed the lease.", "Soup again.",
    "I read a novel, it rained.", "The flight to Oslo is on 12 March 2024.", "We fixed the bike.", "Guests for dinner.",
]  # fmt: skip


@pytest.fixture(scope="module")
def diary(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("diary"), timezone="UTC") as memory:
        space = memory.space("diary")
        for day, text in enumerate(DIARY, 1):
            space.add(text, speaker="Ana", at=f"2024-01-{day:02}T18:00")
        yield space


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What happened on 4 January 2024?", "Rita signed the lease."),
        ("What did I do on 8 January?", "We fixed the bike."),
        ("What was going on on January 2nd, 2024?", "The trams were late."),
        ("Anything on 12 March 2024?", "The flight to Oslo is on 12 March 2024."),
        ("Was ist am 4. Januar 2024 passiert?", "Rita signed the lease."),
        ("¿Qué pasó el 4 de enero de 2024?", "Rita signed the lease."),
    ],
)
def test_a_question_about_a_day_is_answered_by_what_is_of_that_day(diary, question, text):
    found = diary.search(question, 9, asked_at="2024-01-20")
    assert found.answerable
    assert found[0].cube.text == text
    assert text in diary.context(question, asked_at="2024-01-20")


def test_what_is_of_the_day_or_week_that_is_named_is_never_hidden(diary):
    for question in (
        "Whom did Ana meet on 9 January 2024?",
        "Which sport did Ana take up in the week of 2 January 2024?",
    ):
        assert diary.context(question, asked_at="2024-01-20") != ""
    assert not diary.search("What happened on 4 June 2021?", asked_at="2024-01-20").answerable
    assert diary.context("What happened on 4 June 2021?", asked_at="2024-01-20") == ""


@pytest.mark.parametrize(
    "question", ["Was hat Rita unterschrieben?", "¿Qué reparamos?", "Où va le vol ?", "ボートの名前は何ですか"]
)
def test_a_question_in_another_language_is_never_met_with_silence(diary, question):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert diary.context(question, asked_at="2024-01-20") != ""
