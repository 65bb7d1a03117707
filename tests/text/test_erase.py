"""A preview offers what is near a phrase, with reasons, and erases none of it."""

import pytest

from mnemos import Mnemos
from mnemos.errors import NotFound
from mnemos.facts import Fact, Link, StoredFact
from mnemos.text.erase import MOST


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="hashing:32") as memory:
        yield memory.space("s")


def reasons(preview):
    return {offer.cube.text: offer.reason for offer in preview.offers}


@pytest.mark.parametrize(
    ("phrase", "text", "reason"),
    [
        ("Doe", "Jane Doering called", "has it inside a longer word, number or address"),
        ("Jane", "mail jane@x.example", "has it inside a longer word, number or address"),
        ("7", "at 7:30", "has it inside a longer word, number or address"),
        ("Anne", "Anne-Marie sings", "has it inside a longer word, number or address"),
        ("서울", "서울역에서", "has it inside a longer word, number or address"),
        ("דן", "ודן בא", "has it inside a longer word, number or address"),
        ("Zoe", "Zoë plays", "has it in another spelling: accents, vowel points or another form of the letters"),
        ("محمد", "جاء مُحَمَّد", "has it in another spelling: accents, vowel points or another form of the letters"),
        ("Ελένη", "Η ΕΛΕΝΗ ήρθε", "has it in another spelling: accents, vowel points or another form of the letters"),
        ("パン", "ぱんが好き", "has it in another spelling: accents, vowel points or another form of the letters"),
        ("+351 912 345 678", "call +351912345678", "has its letters with other spaces or signs"),
        ("Anne-Marie", "Anne Marie sings", "has its letters with other spaces or signs"),
        ("Jane Doe", "Doe, Jane: invoice", "has all its words, in another form, order or place"),
        ("runs", "she was running", "has all its words, in another form, order or place"),
        (
            "Kowalska",
            "Widziałem panią Kowalską.",
            "has it in another spelling: accents, vowel points or another form of the letters",
        ),
        ("Kowalska", "Pan Kowalski tu był.", "has its words with other endings"),
        ("Анна", "Я видел Анну", "has its words with other endings"),
    ],
)
def test_what_resembles_a_phrase_is_offered_with_the_reason_and_kept(space, phrase, text, reason):
    space.add(text)
    shown = space.forget_preview(query=phrase)
    assert not shown
    assert reasons(shown)[text] == reason
    with pytest.raises(NotFound, match="are near"):
        space.forget(query=phrase)
    assert space.forget([offer.cube.id for offer in shown.offers]).verified
    assert space.count() == 0


def test_who_said_it_and_where_it_is_noted_are_reasons_too(space):
    space.add("I am on holiday.", speaker="Jane Doe")
    space.add("The invoice is paid.", metadata={"from": {"name": "Jane Doe"}})
    space.add("The roof leaks.", source="mail:Jane Doe")
    space.add("Nothing to do with her.", session="other")
    shown = reasons(space.forget_preview(query="jane doe"))
    assert shown["I am on holiday."] == "its speaker is 'Jane Doe'"
    assert shown["The invoice is paid."] == "its metadata has it"
    assert shown["The roof leaks."] == "its source is 'mail:Jane Doe'"


def test_facts_about_what_was_named_and_linked_statements_are_offered(space):
    about = space.add("She moved to Faro.")  # a model may know who she is
    [key] = space.store.keys_of([about.id])
    space.store.facts.put([StoredFact(about.id, key, 0, Fact("jane doe", "home", "Faro", False, False, 0, 3), 0)])
    named, other = space.add("Jane Doe lives in Porto."), space.add("The rent went up.")
    space.store.links.put([Link(other.id, named.id, "contradicts")], 0)
    shown = space.forget_preview(query="Jane Doe")
    assert [c.id for c in shown] == [named.id]
    assert reasons(shown)["She moved to Faro."] == "states a fact about it"
    assert reasons(shown)["The rent went up."] == "linked to a cube that would be erased (contradicts)"


def test_offers_are_bounded_sorted_and_within_the_filters(space):
    space.add_many({"content": f"Janet {i} called", "session": "a"} for i in range(MOST + 20))
    space.add("Jane, Janet and Janette", session="b")
    assert len(space.forget_preview(query="Jane").offers) == MOST
    shown = space.forget_preview(query="Jane", session="b")
    assert [c.text for c in shown] == ["Jane, Janet and Janette"]
    assert shown.offers == ()
    assert len(shown) == 1
    assert shown[:5] == shown.cubes


def test_a_preview_strengthens_nothing_and_repeats_itself(space):
    space.add("Jane called")
    space.add("Janet called")
    first = space.forget_preview(query="Jane")
    assert space.flush() == 0
    assert space.forget_preview(query="Jane") == first
