from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.facts import Fact
from mnemos.reason.condense import sentences
from mnemos.reason.questions import asked
from mnemos.reason.rules import RuleReasoner

AT = datetime(2024, 5, 1, tzinfo=UTC)
RULES = RuleReasoner()


def stated(text, speaker="Ana"):
    return [(f.subject, f.attribute, ("not " if f.negated else "") + f.value) for f in RULES.facts(text, speaker, AT)]


STATE = [
    ("I moved to Faro.", "ana", "live in", "Faro"),
    ("I've just relocated to Faro last week.", "ana", "live in", "Faro"),
    ("We moved from Porto to Faro.", "ana", "live in", "Faro"),
    ("i never thought I'd say this, but I live in Faro now", "ana", "live in", "Faro"),
    ("I've lived in Faro for 3 years.", "ana", "live in", "Faro"),
    ("I've made Faro my home.", "ana", "live in", "Faro"),
    ("I bought a house in Faro and moved in.", "ana", "live in", "Faro"),
    ("I live in Faro now, so which bank is near?", "ana", "live in", "Faro"),
    ("I no longer live in Faro.", "ana", "live in", "not Faro"),
    ("My sister Rita moved to Oslo.", "rita", "live in", "Oslo"),
    ("My sister lives in Oslo.", "ana's sister", "live in", "Oslo"),
    ("Rita's living in Oslo now.", "rita", "live in", "Oslo"),
    ("Yesterday Rita moved to Oslo.", "rita", "live in", "Oslo"),
    ("Call me on 617.555.0199.", "ana", "phone", "617.555.0199"),
    ("I work for Corvid Labs as a nurse.", "ana", "work at", "Corvid Labs"),
    ("I got a new job at Bosch.", "ana", "work at", "Bosch"),
    ("I was hired by Bosch.", "ana", "work at", "Bosch"),
    ("I joined Bosch as an engineer.", "ana", "work at", "Bosch"),
    ("I left Bosch.", "ana", "work at", "not Bosch"),
    ("I don't work at Bosch anymore.", "ana", "work at", "not Bosch"),
    ("I was promoted to team lead.", "ana", "job", "team lead"),
    ("I became a plumber.", "ana", "job", "plumber"),
    ("I'm a software engineer at Bosch.", "ana", "job", "software engineer"),
    ("My new phone number is 555-123-4567.", "ana", "phone", "555-123-4567"),
    ("Rita changed her number to 555-123-4567.", "rita", "phone", "555-123-4567"),
    ("You can reach me at a.b@post.example now.", "ana", "email", "a.b@post.example"),
    ("Phone: 555-123-4567", "ana", "phone", "555-123-4567"),
    ("I traded my car in for a Fiat Panda.", "ana", "car", "Fiat Panda"),
    ("I bought a Volvo V60.", "ana", "car", "Volvo V60"),
    ("My favorite colour is teal.", "ana", "favourite color", "teal"),
    ("Ramen is my new favourite dish.", "ana", "favourite food", "Ramen"),
    ("The band I like best is Muse now.", "ana", "favourite band", "Muse"),
    ("I switched gyms to Iron Temple.", "ana", "gym", "Iron Temple"),
    ("I went vegan.", "ana", "diet", "vegan"),
    ("I'm not vegan anymore.", "ana", "diet", "not vegan"),
    ("Leo and I are engaged!", "ana", "relationship", "Leo"),
    ("I'm single again.", "ana", "relationship", "single"),
    ("I broke up with Leo.", "ana", "relationship", "not Leo"),
    ("The name of my dog is Rex.", "ana", "dog name", "Rex"),
    ("We renamed our dog Rex.", "ana", "dog name", "Rex"),
    ("The Atlas deadline moved to May 3.", "atlas", "deadline", "May 3"),
    ("Atlas is due on May 3.", "atlas", "deadline", "May 3"),
    ("The deadline is Friday.", "the", "deadline", "Friday"),
    ("I can't stand karaoke anymore.", "ana", "feeling about karaoke", "dislikes"),
    ("I'm not a fan of karaoke.", "ana", "feeling about karaoke", "dislikes"),
    ("I've come to love karaoke.", "ana", "feeling about karaoke", "likes"),
    ("Rita stopped liking karaoke.", "rita", "feeling about karaoke", "dislikes"),
    ("I use Zed as my text editor.", "ana", "editor", "Zed"),
    ("I'm allergic to peanuts.", "ana", "allergic to", "peanuts"),
    ("I have two kids.", "ana", "number of kids", "two"),
]


@pytest.mark.parametrize(("text", "subject", "attribute", "value"), STATE)
def test_what_a_sentence_states(text, subject, attribute, value):
    assert stated(text) == [(subject, attribute, value)]


@pytest.mark.parametrize(
    "text",
    [
        "Do I live in Rome?", "I would love to live in Rome.", "If I lived in Rome, I live in a dream.",
        "Maybe I moved to Rome.",
        "Bo said that I live in Rome.", "I heard Rita moved to Rome.", "I might move to Rome.",
        "I almost moved to Rome.",
        "I think Rita lives in Rome.", "I was living in Rome.", "I'll be working at Bosch.",
        "I moved to Rome ten years ago.",
        "I lived in Rome as a child.", "In my dream I live in Rome.", "I live in a small town.",
        "I live in Rome, I guess.",
        "I left the house.", "I joined a club.", "I joined Fitness Club.", "I'm single-minded.", "My job is stressful.",
        "My car is broken.", "My phone died.", "My plan is to rest.", "I became friends with Leo.",
        "I made a travel guide.",
        "We work as a team.", "I work on Friday.", "Dancing is like flying.", "Unconditional love is important.",
        "I love that!",
        "I like how you put it.", "My favourite part was the end.", "One of my favourite films is Jaws.",
        "I have two questions.",
        "I'm seeing Dr. Lee.", "Advice: stay calm.", "Note to self: buy milk.", "The price is too high.",
        "My dog is sick.",
        "I said I would, they say Rita lives in Rome.", "My wife is German.", "My gym is closed today.",
        "She moved to Rome.",
        "```python\nname: Bo\npassword: x1\n```", "username = request.form['name']", "I got into an accident.", "",
        "I bought a Yamaha guitar.", "Somebody moved to Rome.", "My friend and her dog.", "I left my keys at home.",
        "Message 10.398.0 of the run.", "Call 1.2.3456 is listed.",
    ],
)  # fmt: skip
def test_what_states_nothing(text):
    assert stated(text) == []


def test_several_facts_of_one_text_stand_where_they_are_said():
    text = "Hi! I moved to Faro. My gym is Iron Temple now, and I love jazz."
    found = RULES.facts(text, None, AT)
    assert [(f.subject, f.attribute, f.value) for f in found] == [
        ("user", "live in", "Faro"), ("user", "gym", "Iron Temple"), ("user", "feeling about jazz", "likes"),
    ]  # fmt: skip
    assert [text[f.start : f.end] for f in found] == ["I moved to Faro", "My gym is Iron Temple", "I love jazz"]


def test_code_is_not_about_anybody_but_the_text_around_it_is():
    assert stated("I live in Faro.\n```yml\nname: Deploy\n```\nI drive a Fiat Panda.") == [
        ("ana", "live in", "Faro"), ("ana", "car", "Fiat Panda"),
    ]  # fmt: skip


def fact(value, *, attribute="live in", exclusive=True, negated=False):
    return Fact("ana", attribute, value, exclusive, negated, 0, 1)


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        (fact("Faro"), fact("Porto"), "contradicts"),
        (fact("faro"), fact("Faro"), "same"),
        (fact("Porto Portugal"), fact("Porto"), "refines"),
        (fact("Porto"), fact("Porto Portugal"), "same"),
        (fact("May 9"), fact("November 9"), "contradicts"),  # "may" is no function word here
        (fact("shrimp", exclusive=False), fact("nuts", exclusive=False), "compatible"),
        (fact("Faro", negated=True), fact("Faro"), "contradicts"),
        (fact("Faro", negated=True), fact("Porto"), "compatible"),
    ],
)
def test_compare(new, old, verdict):
    assert RULES.compare(new, old).verdict == verdict


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("Where does Ana live?", ("ana", "live in")), ("Where do I live now?", ("me", "live in")),
        ("Who does Ben work for?", ("ben", "work at")), ("Where does Ben work out?", ("ben", "gym")),
        ("What is my phone number?", ("me", "phone")), ("How can I email Ana?", ("ana", "email")),
        ("What is Ana's favorite movie?", ("ana", "favourite film")), ("Which food does Ana like best?", ("ana",
        "favourite food")),
        ("What is the name of Ana's dog?", ("ana", "dog name")), ("When is the Atlas deadline?", ("atlas", "deadline")),
        ("Does Ana like tea?", ("ana", "feeling about tea")), ("Who is Ana dating?", ("ana", "relationship")),
        ("Which editor does Ana use?", ("ana", "editor")), ("What does Ana do for a living?", ("ana", "job")),
    ],
)  # fmt: skip
def test_what_a_question_asks_for(question, key):
    assert key in asked(question, "me")


def test_what_no_rule_knows_is_not_asked_for():
    assert asked("What did we talk about?") == []
    assert asked("") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Lee came at 3.5 p.m. today. He left.", ["Dr. Lee came at 3.5 p.m. today.", "He left."]),
        ("a line\nanother line", ["a line", "another line"]),
        ("It takes approx. Ten. Yes.", ["It takes approx. Ten.", "Yes."]),
        ("\u4f60\u597d\u3002\u518d\u89c1\u3002", ["\u4f60\u597d\u3002", "\u518d\u89c1\u3002"]),
        ("  \n ", []),
    ],
)
def test_sentences(text, expected):
    assert [s for _, s in sentences(text)] == expected


@given(st.text(max_size=400))
def test_sentences_stand_in_the_text_in_order(text):
    done = 0
    for start, sentence in sentences(text):
        assert text[start : start + len(sentence)] == sentence
        assert start >= done
        done = start + len(sentence)


WORDS = [
    "I", "my", "Ana", "Ana's", "the", "The", "moved", "to", "live", "in", "work", "at", "Bosch", "phone", "number",
    "is", "favourite", "film", "now,", "not", "don't", "because", ".", "!", "?", ":", "555-1234", "@", "and",
]  # fmt: skip


@given(st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_nothing_raises_and_facts_stand_in_the_text(text):
    for f in RULES.facts(text, "Ana", AT):
        assert f.subject
        assert f.attribute
        assert f.value
        assert 0 <= f.start < f.end <= len(text)
        if not f.attribute.startswith("feeling"):
            assert f.value in text
    RULES.title([text])
    asked(text)


@given(st.lists(st.text(max_size=200), max_size=5), st.integers(1, 4))
def test_a_summary_is_made_of_sentences_of_its_texts(texts, count):
    known = [s for t in texts for _, s in sentences(t)]
    summary = RULES.summarise(texts, count)
    left = summary
    for sentence in known:
        if left.startswith(sentence):
            left = left[len(sentence) :].lstrip(" ")
    assert summary == "" or any(summary.startswith(s[:100]) for s in known)


def test_a_summary_keeps_the_order_and_the_number():
    texts = [
        "The harbour bridge opened in Porto. Nice weather.",
        "The bridge in Porto has a toll. Are you there?",
        "Cats sleep at noon.",
    ]
    summary = RULES.summarise(texts, 2)
    places = [" ".join(texts).index(s) for _, s in sentences(summary)]
    assert len(places) == 2
    assert places == sorted(places)
    assert "Are you there?" not in summary
    assert RULES.summarise(texts, 2) == summary


def test_a_title_names_what_stands_out():
    assert RULES.title(["Porto is lovely. We love Porto.", "The Porto harbour."]).split(", ")[0] == "Porto"
    assert RULES.title([]) == ""
    assert RULES.reflect(["a"]) == []


@pytest.mark.parametrize(
    ("text", "subject", "attribute", "value"),
    [
        ("My laptop's a ThinkPad.", "ana", "laptop", "ThinkPad"),
        ("My husband's a plumber.", "ana's husband", "job", "plumber"),
        ("I'm an ER nurse, twelve-hour shifts.", "ana", "job", "ER nurse"),
        ("I'm 34.", "ana", "age", "34"),
        ("My daughter is 12 now.", "ana's daughter", "age", "12"),
        ("I've got asthma.", "ana", "health", "asthma"),
        ("My birthday's on the 3rd of August.", "ana", "birthday", "on the 3rd of August"),
        ("My name's Wen.", "ana", "name", "Wen"),
    ],
)
def test_short_forms_state_what_their_long_forms_do(text, subject, attribute, value):
    found = RuleReasoner().facts(text, "Ana", datetime(2025, 3, 1, tzinfo=UTC))
    assert [(f.subject, f.attribute, f.value) for f in found] == [(subject, attribute, value)]


@pytest.mark.parametrize(
    "text",
    ["I'm 5 minutes away.", "I'm 100% sure.", "I have 34.", "We're 12.", "My job's a nightmare.", "My car's on the drive.",
     "My husband's late.", "My boss's a clown.", "My gym's closed."],
)  # fmt: skip
def test_short_forms_of_something_else_state_nothing(text):
    assert RuleReasoner().facts(text, "Ana", datetime(2025, 3, 1, tzinfo=UTC)) == []
