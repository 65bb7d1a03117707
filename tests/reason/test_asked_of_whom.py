"""Whom a question is about where it names the owner of somebody or something else."""

import pytest

from mnemos import Mnemos
from mnemos.reason.questions import asked


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Where does Ana live?", [("ana", "live in")]),
        ("Where does Ana's sister live?", [("ana's sister", "live in")]),
        ("Where does Ana\u2019s sister Rita live?", [("rita", "live in")]),
        ("Where does the sister of Ana live?", [("ana's sister", "live in")]),
        ("Where does my sister live?", [("user's sister", "live in")]),
        ("Who does Ana's husband work for?", [("ana's husband", "work at")]),
        ("What car does Ana's brother drive?", [("ana's brother", "car")]),
        ("Where does Ana's sister's husband work?", []),
        ("Where do my parents live?", []),
        ("Where is Ana's team based?", []),
        ("What is Ana's favourite food?", [("ana", "favourite food")]),
        ("What's Ana's current job?", [("ana", "job")]),
        ("What is my new phone number?", [("user", "phone")]),
        ("What is the name of Ana's dog?", [("ana", "dog name")]),
    ],
)
def test_what_is_asked_of_hers_is_not_asked_of_her(question, wanted):
    assert asked(question) == wanted


@pytest.fixture(scope="module", params=[{"speaker": "Ana"}, {"role": "user"}], ids=["named", "unnamed"])
def space(request, tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("whose")) as memory:
        space = memory.space("ana")
        for text in (
            "I live in Porto.", "My sister Rita lives in Faro.", "My brother works at Acme.", "I work for Juniper Foods.",
            "We had soup.", "My parents live in Braga.",
        ):  # fmt: skip
            space.add(text, **request.param)
        yield space


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where does Ana live?", "Porto"),
        ("Where do I live?", "Porto"),
        ("Where does Ana's sister live?", "Faro"),
        ("Where do my parents live?", "Braga"),
        ("Where do Ana's parents live?", "Braga"),
        ("Who does Ana's brother work for?", "Acme"),
        ("Where do I work?", "Juniper"),
    ],
)
def test_each_is_asked_for_his_own(space, question, answer):
    assert answer in space.search(question, 1)[0].cube.text
