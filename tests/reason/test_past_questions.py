"""Past times of a question: a date, an age, an event, and the question without it."""

from datetime import UTC, datetime

import pytest

from mnemos.reason.dates import query_range
from mnemos.reason.past import past_of
from mnemos.reason.states import asks_state

NOW = datetime(2025, 3, 1, tzinfo=UTC)


def past(question):
    return past_of(question, NOW, query_range(question, NOW))


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("Where did Ana live in 2021?", "2021-01-01", "2022-01-01"),
        ("Which phone did I have last spring?", "2024-03-01", "2024-06-01"),
        ("Where did I live ten years ago?", "2015-01-01", "2016-01-01"),
        ("What was my job when I was seven? I was born in May 2012.", "2019-05-01", "2020-06-01"),
        ("Wo habe ich 2019 gearbeitet?", "2019-01-01", "2020-01-01"),
        ("Où est-ce que j'habitais en mars 2021 ?", "2021-03-01", "2021-04-01"),
        ("Onde é que eu morava no verão de 2020?", "2020-06-01", "2020-09-01"),
        ("Где я жил в 2019 году?", "2019-01-01", "2020-01-01"),
        ("2021年我住在哪里?", "2021-01-01", "2022-01-01"),
    ],
)
def test_a_date_or_an_age_with_a_birth_is_a_span(question, start, end):
    found = past(question)
    assert [f"{t:%Y-%m-%d}" for t in found.span] == [start, end]
    assert not set("0123456789") & set(found.rest)


@pytest.mark.parametrize(
    ("question", "event", "side"),
    [
        ("Where did I live before the move to Ghent?", "the move to Ghent", "before"),
        ("When Tim was born, where did we live?", "Tim was born", "during"),
        ("What car did I drive when I was at Acme?", "I was at Acme", "during"),
        ("Where was I living right after the divorce?", "the divorce", "after"),
        ("Wo habe ich gearbeitet, bevor ich zur Sparkasse kam?", "ich zur Sparkasse kam", "before"),
        ("¿Dónde trabajaba cuando nació Tim?", "nació Tim", "during"),
        ("Где я работал до переезда в Берлин?", "переезда в Берлин", "before"),
        ("搬到上海之前我住在哪里?", "搬到上海", "before"),
        ("東京に引っ越す前はどこに住んでいましたか?", "東京に引っ越す", "before"),
    ],
)
def test_an_event_is_a_phrase_and_a_side(question, event, side):
    found = past(question)
    assert (found.event, found.side, found.span) == (event, side, None)
    assert event not in found.rest


def test_a_time_before_a_date_or_apart_from_an_event():
    found = past("Which gym did I go to before last summer?")
    assert (found.side, f"{found.span[0]:%Y-%m}") == ("before", "2024-06")
    assert past("What did I weigh two years before my knee operation?").apart == -730
    assert past("Where did I live when I was 20?").age == 20


@pytest.mark.parametrize(
    "question",
    [
        "Where does Ana live?", "When did I move to Ghent?", "What do I do when I'm stressed?", "What is Ben doing in June?",
        "Where will I be after Christmas?", "Where did Ana live before?", "What did I like when I was younger?",
    ],
)  # fmt: skip
def test_other_questions_name_no_past_time(question):
    assert past(question) is None


@pytest.mark.parametrize(
    ("question", "order"),
    [
        ("What was my first car?", 0), ("What was the second place I worked?", 1), ("Who was my previous boss?", -2),
        ("Which phone did I have before this one?", -2), ("What's my old number?", -2),
    ],
)  # fmt: skip
def test_a_place_among_all_of_its_kind(question, order):
    assert past(question).order == order


def test_places_decades_ends_and_ages_of_others():
    assert past("What did I earn at Novartis?").event == "Novartis"
    assert past("What did the posters at the poetry reading say?") is None
    assert f"{past('Where did Mum live in the sixties?').span[1]:%Y}" == "1970"
    assert past("Until when did I live in Gdansk?").until
    assert past("Who looked after Max when he was three?").who == "Max"
    assert past("How did I get to work when I lived in Leeds?").lasting
    assert past("What did I live on between the café and the grant?").event == "the grant"


def test_states_are_told_from_what_happened():
    states = (
        "Where did I live",
        "Who was my boss",
        "What did I do for a living",
        "Who owned the project",
        "Wo wohnte ich",
        "Who did my taxes",
        "Which vet did we go to",
    )
    assert all(map(asks_state, states))
    events = ("What did she do", "How did Ana feel", "What did they find", "What did he say", "Who is coming")
    assert not any(map(asks_state, events))


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("¿Qué idioma estudiaba el otoño pasado?", "2024-09-01", "2024-12-01"),
        ("Chi era il mio allenatore l'estate scorsa?", "2024-06-01", "2024-09-01"),
        ("Welchen Sport habe ich letzten Winter gemacht?", "2024-12-01", "2025-03-01"),
        ("Welke fiets had ik vorig voorjaar?", "2024-03-01", "2024-06-01"),
        ("去年夏天我做什么运动?", "2024-06-01", "2024-09-01"),
        ("Where did I work two summers ago?", "2023-06-01", "2023-09-01"),
        ("Who was my boss the winter before last?", "2023-12-01", "2024-03-01"),
        ("Where did I live the year before last?", "2023-01-01", "2024-01-01"),
        ("Who was our boss at the end of 2020?", "2020-09-01", "2021-01-01"),
        ("Wer leitete die Abteilung zu Beginn von 2020?", "2020-01-01", "2020-05-02"),
        ("¿Qué idioma aprendía al principio de 2023?", "2023-01-01", "2023-05-02"),
        ("Where did I live this time last year?", "2024-01-31", "2024-03-31"),
        ("¿Dónde vivía hace un año?", "2023-11-02", "2024-06-29"),
        ("Où est-ce que j'habitais dans les années 90 ?", "1990-01-01", "2000-01-01"),
        ("Wo wohnte ich in den Neunzigern?", "1990-01-01", "2000-01-01"),
        ("Где я жил в девяностых?", "1990-01-01", "2000-01-01"),
    ],
)
def test_seasons_parts_of_years_and_decades_in_any_language(question, start, end):
    assert [f"{t:%Y-%m-%d}" for t in past(question).span] == [start, end]


def test_what_lies_before_a_season_of_another_language():
    assert (past("¿Qué coche tenía antes del verano pasado?").side, past("Qué coche tengo ahora?")) == ("before", None)


@pytest.mark.parametrize(
    ("question", "age", "years"),
    [
        ("Wo habe ich mit zwanzig gelebt?", 20, 1), ("Dove vivevo a vent'anni?", 20, 1),
        ("Où vivais-je à vingt-cinq ans ?", 25, 1),
        ("¿Qué deporte practicaba a los dieciocho años?", 18, 1), ("二十五岁的时候我住在哪里?", 25, 1),
        ("Where did I live in my late twenties?", 27, 3), ("What did I play as a child?", 4, 9),
    ],
)  # fmt: skip
def test_ages_in_words_and_parts_of_a_life(question, age, years):
    found = past(question)
    assert (found.age, found.years) == (age, years)


@pytest.mark.parametrize(
    "question",
    [
        "Was habe ich mit drei Leuten gemacht?",
        "Has John taken the test?",
        "¿Dónde vivo con cinco amigos?",
        "Who cooked the chicken?",
    ],
)
def test_numbers_and_letters_that_name_no_time(question):
    assert past(question) is None


def test_a_participle_belongs_to_the_question_and_not_to_the_event():
    found = past("Wo habe ich vor dem Umzug nach Blaubeuren gewohnt?")
    assert (found.rest, found.event) == ("Wo habe ich gewohnt", "Umzug nach Blaubeuren")


def test_things_ago_and_studies():
    assert past("Which company was I with two jobs ago?").order == -3
    assert (
        past("What was the flat before last like?") is None or past("What was the flat before last like?").order == -3
    )
    assert past("Where did I live two years ago?").order is None
    assert all(
        past(q).lasting
        for q in ("Where did I live as a student?", "Öğrenciyken nerede kalıyordum?", "学生の頃どこに住んでいましたか?")
    )
    assert past("What phone did I use during the 2020 lockdown?").named[0].year == 2020


@pytest.mark.parametrize(
    "question",
    [
        "In welchen Bezirken gilt das Ticket?",  # -ken is a clause in Turkish only
        "Welche Immunschwäche tritt beim Menschen auf?",
        "Wie werden Zahlen bei der Kodierung geschrieben?",
        "Für wen wird vor Ort gebaut?",
        "Bir sayı p ile çarpıldığında norma ne olur?",  # what happens in general
        "En erken saat kaçta buluşabiliriz?",  # "saat" is "when" in Indonesian, the hour in Turkish
        "Da quanto tempo vivi a Roma?",  # "da" is "when" in Danish
        "¿Qué ejército luchó en los treinta años de guerra?",  # no decade
    ],
)
def test_words_that_mean_another_thing_name_no_past_time(question):
    assert past(question) is None
