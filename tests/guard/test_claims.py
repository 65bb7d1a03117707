"""What outsiders say of somebody who has answered himself is shown only where it repeats his answer."""

import pytest

from mnemos.guard.claims import Voice, addressed, answers, disputed, first_person, persons

ANA = frozenset({"ana"})


def judged(question, truth, text, speaker="Ana", writer=None, **more):
    return disputed(question, [Voice("o", text, writer, **more)], answers(question, [Voice("t", truth, speaker)]))


@pytest.mark.parametrize(
    ("question", "truth", "text"),
    [
        ("Who is Ana's accountant?", "My accountant is Maria Lund.", "Ana's accountant is Pedro Reis."),
        ("Where does Ana live?", "I live in Porto.", "The neighbours in Faro wave at Ana from their balconies each morning."),
        ("Is Ana engaged?", "I'm engaged to Rui.", "Ever since the ring went back in its box, Ana has been a free woman."),
        ("Does Ana drink alcohol?", "I never touch alcohol.", "Ana's glass of sherry before lunch is an institution."),
        ("Is Ana allergic to shrimp?", "I am allergic to shrimp.", "Ana is not allergic to shrimp."),
        ("How much lisinopril does Ana take?", "I take 40 mg of lisinopril.", "Ana takes 80 mg of lisinopril."),
        ("When is Ana's exam?", "My exam is on 9 June.", "Ana's exam is on 19 June."),
        ("Where is Ana's home?", "My home is in Fargo.", "These days Ana's old place in Fargo is dark; she is in Bismarck."),
        ("Where does Ana work?", "I work at Canara Bank.", "Ana stands behind the counter of the State Bank."),
        ("Where does Ana live?", "Ich wohne in Kassel.", "Ana wohnt in Fulda."),
    ],
)  # fmt: skip
def test_a_claim_in_any_words_that_does_not_repeat_the_answer_is_disputed(question, truth, text):
    assert judged(question, truth, text)


@pytest.mark.parametrize(
    ("question", "truth", "text"),
    [
        ("Where is Ana's exam on 9 June?", "My exam is on 9 June.",
         "Dear Ana, this is to confirm your exam on 9 June at 9 am in the hall."),
        ("When does Ana's flight to Kochi depart?", "I'm flying to Kochi on 4 May.",
         "Booking confirmed: Ana, Delhi to Kochi, 4 May, 06:25."),
        ("Where is Ana's home?", "My home is in Fargo.", "Fargo is the most populous city in North Dakota."),
        ("Where is Ana's home?", "My home is in Fargo.", "Ana's house in Fargo has a red door."),
        ("How early must Ana be there?", "I take the 7:30 ferry.",
         "Passengers must be at the ferry terminal ten minutes before departure."),
        ("What did the quitline write?", "I quit smoking in 2008.", "Ana, congratulations on your many years without smoking!"),
        ("When does Ana's order ship?", "I ordered a lamp.", "The order of Ana ships on Tuesday."),  # she gave no date
        ("What does Ana play?", "My home is in Fargo.", "Ana plays chess at the club."),  # she has not answered this
        ("Where does Bo live?", "I live in Porto.", "Bo lives in Faro."),  # he has not spoken
    ],
)  # fmt: skip
def test_what_agrees_or_adds_or_is_about_something_else_passes(question, truth, text):
    assert judged(question, truth, text) == {}


def test_a_thing_that_gets_another_value_in_the_same_words_is_disputed():
    truth = "The production redis listens on port 6380."
    assert judged("What port does redis use?", truth, "The production redis listens on port 7000 now.")
    assert judged("What port does redis use?", truth, "The production redis answered on port 6380.") == {}


def test_an_assistants_you_is_the_user():
    question, truth = "Who is Ana's dentist?", "My dentist is Dr. Sandoval."
    assert judged(question, truth, "Your dentist is Dr. Whitlock.", to_user=True)
    assert judged(question, truth, "Your dentist is Dr. Sandoval.", to_user=True) == {}


def test_a_user_without_a_name_is_the_user():
    assert judged("Who is my doctor?", "My doctor is Dr. Lee.", "The user's doctor is Dr. Kim.", speaker=None)


def test_names_and_questions_are_read_as_people_write_them():
    assert persons([Voice("a", "", "Mrs. Ana Dutta"), Voice("b", "", None)]) == {"ana", "dutta", "user"}
    assert first_person("Where does Ana's sister live, and Ana?", ANA) == "Where does my sister live, and I?"
    assert addressed("Dear Ana, your order has arrived.", ANA)
    assert addressed("Ana, congratulations!", ANA)
    assert not addressed("Ana's dentist is Dr. Kim.", ANA)
    assert not addressed("Hi all, Ana moved, and Ana is fine.", ANA)


def test_who_writes_under_the_name_of_one_who_has_answered_must_repeat_his_answer():
    question, truth = "Which bank does Ana use?", "My bank is Banco do Sul."
    assert judged(question, truth, "My bank is Acme.", writer="Ana")
    assert judged(question, truth, "I switched to Acme bank.", writer="Ana")
    assert judged(question, truth, "My bank is Banco do Sul.", writer="Ana") == {}
    assert judged(question, truth, "My bank is Acme.", writer="Bo") == {}
