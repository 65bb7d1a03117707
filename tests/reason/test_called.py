"""What somebody wants to be called is one more name of his; what is asked of an assistant is no statement."""

from datetime import UTC, datetime

import pytest

from mnemos.reason.questions import asked
from mnemos.reason.requests import is_request
from mnemos.reason.rules import RuleReasoner

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def names(text):
    return [f.value for f in RuleReasoner().facts(text, None, NOW) if f.attribute == "name"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Actually, please call me Kit.", "Kit"),
        ("Everybody calls me Bobby, you can too.", "Bobby"),
        ("I go by Sasha.", "Sasha"),
        ("Just call me Jon, everyone does.", "Jon"),
        ("Call me Mary Ann", "Mary Ann"),
    ],
)
def test_a_name_one_wants_to_be_called_by_is_read_and_ends_no_other(text, name):
    (fact,) = [f for f in RuleReasoner().facts(text, None, NOW) if f.attribute == "name"]
    assert (fact.subject, fact.value, fact.exclusive) == ("user", name, False)


@pytest.mark.parametrize(
    "text",
    [
        "Call me tomorrow.", "Please call me Monday morning.", "Don't call me Kathy.", "They used to call me Fatso.",
        "Call me when you land.", "If you call me Bob I'll leave.", "I go by Bus.", "My mum calls me Kitty.", "I go by train.",
    ],
)  # fmt: skip
def test_what_is_no_name_of_ones_own_is_not_read(text):
    assert names(text) == []


@pytest.mark.parametrize("question", ["What's my name?", "What should you call me?", "How should I be addressed?"])
def test_a_question_for_a_name_asks_for_it(question):
    assert ("user", "name") in asked(question)


@pytest.mark.parametrize(
    "text",
    [
        "Remind me to buy stamps.", "Please remind me to call the dentist.", "Can you book the boiler engineer?",
        "Add 'vet' to my list.", "Set a reminder to move the car.", "Don't let me forget Ana's birthday.",
        "Erinnere mich an die Miete.", "Recuérdame comprar sellos.", "Напомни купить марки.", "请提醒我买邮票。",
        "切手を買うのをリマインドして",
    ],
)  # fmt: skip
def test_a_request_is_one(text):
    assert is_request(text)


@pytest.mark.parametrize(
    "text", ["I buy my stamps at the kiosk.", "She reminded me to call.", "They let me in.", "Helped Ana move."]
)
def test_a_statement_is_none(text):
    assert not is_request(text)
