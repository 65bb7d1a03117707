"""Who contradicts better sources is a suspect; who tells of a change is not; rejections hold no text."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.facts import Fact
from mnemos.guard.consensus import Claim, contradict, contradicted, names
from mnemos.guard.trust import Trust

LOW, MID, HIGH = Trust.UNTRUSTED, Trust.NORMAL, Trust.TRUSTED


def fact(value, subject="ana", attribute="live in", exclusive=True, negated=False):
    return Fact(subject, attribute, value, exclusive, negated, 0, 0)


def claim(name, value, trust, day, source=None, **more):
    facts = () if value is None else (value if isinstance(value, Fact) else fact(value),)
    return Claim(name, facts, trust, datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day), source=source, **more)


def suspects(*claims, **more):
    return {s.id: s.reason for s in contradicted(claims, **more)}


def test_a_page_that_contradicts_the_user_is_a_suspect_whenever_it_was_written():
    user = claim("u", "Lisbon", HIGH, 5)
    assert suspects(user, claim("w", "Rome", LOW, 9)) == {"w": "less trusted"}
    assert suspects(user, claim("w", "Rome", LOW, 1)) == {"w": "less trusted"}
    assert suspects(claim("n", "Lisbon", MID, 5), claim("w", "Rome", LOW, 9)) == {"w": "less trusted"}


def test_a_later_statement_of_the_same_trust_is_a_change():
    for trust in Trust:
        old = [claim(f"o{i}", "Lisbon", trust, i) for i in range(3)]
        assert suspects(*old, claim("new", "Rome", trust, 9)) == {}
        assert (
            suspects(claim("first", "Rome", trust, 0), *[claim(f"n{i}", "Lisbon", trust, 3 + i) for i in range(3)])
            == {}
        )


def test_a_better_source_may_change_what_a_lesser_one_said_and_both_stay():
    assert suspects(claim("n", "Rome", MID, 1), claim("u", "Lisbon", HIGH, 5)) == {}


def test_one_against_a_clear_majority_before_and_after_it_is_a_suspect():
    group = [claim(f"g{i}", "Lisbon", MID, day) for i, day in enumerate((1, 3, 8))]
    assert suspects(*group, claim("x", "Rome", MID, 5)) == {"x": "majority"}
    assert suspects(group[0], claim("x", "Rome", MID, 5), claim("y", "Rome", MID, 6), group[2]) == {}


@given(st.integers(1, 40))
def test_no_number_of_pages_silences_the_user(count):
    flood = [claim(f"w{i}", "Rome", LOW, i, source=f"https://{i}.example") for i in range(count)]
    assert set(suspects(claim("u", "Lisbon", HIGH, 20), *flood)) == {f"w{i}" for i in range(count)}


def test_a_source_that_repeats_itself_is_one_voice():
    honest = [claim("a", "Lisbon", LOW, 1, "https://a.example"), claim("b", "Lisbon", LOW, 9, "https://b.example")]
    flood = [claim(f"w{i}", "Rome", LOW, 2 + i, "https://evil.example") for i in range(5)]
    assert set(suspects(*honest, *flood)) == {f"w{i}" for i in range(5)}


def test_what_the_user_once_said_too_is_no_lie():
    claims = [claim("old", "Rome", HIGH, 1), claim("new", "Lisbon", HIGH, 5), claim("page", "Rome", LOW, 3)]
    assert suspects(*claims) == {}


@pytest.mark.parametrize(
    ("one", "other", "contrary"),
    [
        (fact("Lisbon"), fact("Rome"), True),
        (fact("Lisbon"), fact("the Lisbon."), False),
        (fact("Lisbon"), fact("Lisbon, Portugal"), False),
        (fact("Lisbon"), fact("Lisbon", negated=True), True),
        (fact("Lisbon"), fact("Rome", negated=True), False),
        (fact("tea", exclusive=False), fact("coffee", exclusive=False), False),
    ],
)
def test_what_cannot_both_hold(one, other, contrary):
    assert contradict(one, other) == contradict(other, one) == contrary


def test_facts_about_something_else_do_not_count():
    other = fact("Rome", attribute="born in"), fact("Rome", subject="bo")
    assert suspects(claim("u", "Lisbon", HIGH, 1), *(claim(str(i), f, LOW, 2) for i, f in enumerate(other))) == {}


def test_a_rejection_blocks_the_same_mistake_without_a_majority():
    first = contradicted([claim("u", "Lisbon", HIGH, 1), claim("w", "Rome", LOW, 2)])
    rejections = first[0].rejections
    assert len(rejections) == 1
    again = claim("v", "  rome!", LOW, 30, "https://other.example")
    assert suspects(again) == {}
    assert suspects(again, learned_rejections=rejections) == {"v": "rejected before"}
    assert suspects(claim("v", "Paris", LOW, 30), learned_rejections=rejections) == {}
    assert suspects(claim("u", "Rome", HIGH, 30), learned_rejections=rejections) == {}  # the user has moved there
    assert suspects(claim("u", "Rome", HIGH, 30), again, learned_rejections=rejections) == {}
    assert suspects(again, learned_rejections=rejections, key=b"another space") == {}


def test_a_rejection_holds_no_text():
    suspect = contradicted([claim("u", "Lisbon", HIGH, 1), claim("w", "Rome", LOW, 2)])[0]
    kept = " ".join(map(str, asdict(suspect.rejections[0]).values())).casefold()
    assert not any(word in kept for word in ("rome", "lisbon", "ana", "live"))
    assert len(suspect.rejections[0].trigger) == len(suspect.rejections[0].mistake) == 32


def speaks(name, text, trust, day=5):
    return claim(name, None, trust, day, names=names(text))


def test_where_better_sources_speak_of_somebody_a_page_must_share_a_name_with_them():
    group = [speaks("u", "Ana has her account at Willow Bank.", HIGH), speaks("n", "Ana banks with Willow.", MID)]
    good = speaks("good", "Willow Bank, the bank of Ana, has new hours.", LOW)
    lie = speaks("lie", "According to a profile, Ana is with Umbra Bank.", LOW)
    aside = speaks("aside", "Urgent mails about Ana are usually genuine.", LOW)
    question = "Which bank does Ana use?"
    assert suspects(*group, good, lie, aside, question=question) == {"lie": "alone", "aside": "alone"}
    assert suspects(*group, good, lie, aside) == {}  # nobody was asked about
    assert suspects(*group, good, lie, question="Which bank does Bo use?") == {}  # nobody better speaks of him
    assert suspects(good, lie, question=question) == {}
    assert suspects(*group, speaks("known", "Ana is with Umbra Bank.", MID), question=question) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Meridian Estate, the car that Bo drives", {"meridian", "bo"}),
        ("Dr. Ember, dentist of Rosa, is open on 24.12.", {"ember", "rosa", "24.12"}),
        ("nothing here", set()),
        ("Where does Ana live?", {"ana"}),
    ],
)
def test_names_are_the_first_words_of_capitalised_runs_and_numbers(text, found):
    assert {n.rstrip(".") for n in names(text)} == found


@given(
    st.lists(st.tuples(st.sampled_from(["Lisbon", "Rome", "Paris"]), st.sampled_from(list(Trust)), st.integers(0, 9)))
)
def test_the_best_sources_are_never_contradicted_by_lesser_ones_and_order_does_not_matter(rows):
    claims = [claim(str(i), *row) for i, row in enumerate(rows)]
    found = suspects(*claims)
    assert found == suspects(*claims[::-1])
    best = [c for c in claims if c.trust == max(c.trust for c in claims)]
    assert {c.id for c in best} & set(found) == set(suspects(*best))


def test_nothing_retrieved_nothing_suspected():
    assert contradicted([]) == []


def test_what_others_say_of_somebody_who_speaks_himself_neither_outranks_nor_outnumbers_him():
    ana = claim("ana", fact("Lisbon"), HIGH, 1, speaker="Ana")
    others = [
        claim(f"o{i}", fact("Rome"), HIGH, 2 + i, speaker=name) for i, name in enumerate(("Bo", "Cem", "Dora", "Eve"))
    ]
    again = claim("again", fact("Lisbon"), HIGH, 9, speaker="Ana")
    assert not {"ana", "again"} & set(suspects(ana, *others, again))
    assert suspects(ana, claim("w", "Rome", LOW, 3), others[0])["w"] == "less trusted"
    assert suspects(ana, claim("moved", fact("Rome"), HIGH, 5, speaker="Ana")) == {}  # she may change her mind
