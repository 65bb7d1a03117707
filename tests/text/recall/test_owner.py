"""Whom "Ana" or "the user" means in a space whose user is never called by a name."""

import pytest

from mnemos import Mnemos
from mnemos.text.recall import large
from mnemos.text.recall.owner import as_owner

TOLD = (
    "I live in Porto and love it.", "We named our dog Rufus.", "I work for Juniper Foods now.", "I've got a new gym: Granite.",
    "My favourite colour is teal.", "The trams were late again, as usual.", "My partner Bea is a nurse.",
)  # fmt: skip
ASKED = {
    "Where does {} live?": "Porto", "What is {}'s dog called?": "Rufus", "Who does {} work for?": "Juniper",
    "What is {}\u2019s favourite colour?": "teal", "Who is {}'s partner?": "Bea",
}  # fmt: skip


def told(root, name="ana", texts=TOLD, **header):
    space = Mnemos(root).space(name)
    for text in texts:
        space.add(text, **header)
    return space


def asked(space, question):
    return as_owner(question, space.name, space.text.corpus, space.store.facts)


@pytest.mark.parametrize("header", [{}, {"role": "user"}])
@pytest.mark.parametrize("who", ["Ana", "the user"])
def test_the_owner_is_found_by_a_name_that_nobody_says(tmp_path, header, who):
    space = told(tmp_path, **header)
    for question, answer in ASKED.items():
        assert answer in space.search(question.format(who), 1)[0].cube.text
        assert answer in space.context(question.format(who))
        assert space.search_sessions(question.format(who), 1) == []


def test_a_name_that_the_user_has_told_is_his_in_any_space(tmp_path):
    space = told(tmp_path, "u-4821", (*TOLD, "Hi, my name is Ana Lopes."), role="user")
    for question, answer in ASKED.items():
        for who in ("Ana", "Ana Lopes"):
            assert answer in space.search(question.format(who), 1)[0].cube.text


@pytest.mark.parametrize(
    ("question", "same"),
    [
        ("Where does Ana live?", "Where do I live?"),
        ("Is Ana Lopes married?", "Am I married?"),
        ("Has Ana\u2019s sister called?", "Has my sister called?"),
        ("What do we know about Ana?", "What do we know about me?"),
        ("The user's job?", "My job?"),
        ("Where does Zoltan live?", "Where does Zoltan live?"),
        ("Does Ana know Zoltan?", "Do I know Zoltan?"),
        ("where does ana live?", "where does ana live?"),
        ("How do users sign in?", "How do users sign in?"),
        ("", ""),
    ],
)
def test_a_question_about_the_owner_becomes_his_own(tmp_path, question, same):
    assert asked(told(tmp_path, "ana lopes", role="user"), question) == same
    assert asked(told(tmp_path, "ana lopes", role="user"), same) == same


def test_a_stranger_is_nobody_and_those_with_a_name_keep_it(tmp_path):
    space = told(tmp_path, "u-4821", role="user")
    assert space.context("Where does Zoltan live?") == ""
    assert asked(space, "Where does Ana live?") == "Where does Ana live?"
    space = told(tmp_path, "ana", speaker="Ana")
    assert asked(space, "Where does Ana live?") == "Where does Ana live?"
    assert asked(space, "Where does the user live?") == "Where do I live?", "she is the only speaker"
    space.add("I live in Ghent.", speaker="Bo")
    assert asked(space, "Where does the user live?") == "Where does the user live?"
    space = told(tmp_path, "rita", (*TOLD, "My sister Rita lives in Faro."), role="user")
    assert asked(space, "Where does Rita live?") == "Where does Rita live?"
    assert "Faro" in space.search("Where does Rita live?", 1)[0].cube.text
    space = told(tmp_path, "docs", ["A user signs in with a key.", "Keys expire."])
    assert asked(space, "How does the user sign in?") == "How does the user sign in?"


def test_in_a_large_space_too(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 1)
    space = told(tmp_path, "ana", (*TOLD, "My sister Rita lives in Faro."), role="user")
    assert "Porto" in space.search("Where does Ana live?", 1)[0].cube.text
    assert asked(space, "Where does Ana live?") == "Where do I live?"
    assert asked(space, "Where does Rita live?") == "Where does Rita live?"
