"""The newest value first: what came in for a statement stands before it, what was only said later does not."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.cube import Hit
from mnemos.store.values import Filter
from mnemos.text.base import Asked
from mnemos.text.recall.judgement import Statement, ends, same_frame
from mnemos.text.recall.newest import BARS, LOOKED_AT, WHY, PromoteNewest, asks_now, first_of, last_in_frame
from mnemos.text.recall.telling import KINDS, read_telling

T0 = datetime(2024, 1, 1, tzinfo=UTC)
CHANGED = [  # none of these is in what the judgement was fitted on
    ("Where do I live?", "My place is in Marsh Street.", "Gave the Marsh Street keys back, we're in Trondheim now."),
    ("Which bike do I ride?", "I ride a blue Peugeot racer.", "The Peugeot got stolen, so I bought a Brompton instead."),
    ("Who is my dentist?", "Dr Okafor does my teeth.", "Switched dentists, I see Dr Lindqvist now."),
    ("What do I drink at breakfast?", "I have cocoa at breakfast.", "No more cocoa for me, it's ginger tea at breakfast now."),
    ("How much zinc do I take?", "I take 10 mg of zinc.", "The doctor upped my zinc to 25 mg."),
    ("¿Dónde vivo?", "Vivo en Sevilla.", "Me he mudado a Bilbao."),
    ("Dove abito?", "Abito a Torino.", "Mi sono trasferita a Genova."),
    ("Gdzie mieszkam?", "Mieszkam w Krakowie.", "Przeprowadziłam się do Gdańska."),
    ("¿Dónde trabajo?", "Trabajo en una floristería.", "Dejé la floristería, ahora trabajo en un museo."),
]  # fmt: skip
REMARKS = [
    ("Where do I live?", "I live in a cottage near Sligo.", "My aunt would love to live in Sligo."),
    ("What car do I drive?", "I drive a grey Octavia.", "My neighbour's car is a brand new Octavia."),
    ("Who is my dentist?", "My dentist is Dr Okafor.", "Does anyone know a good dentist in Leeds?"),
    ("Where do I buy stamps?", "I buy my stamps at the kiosk.", "Remind me to buy stamps."),
    ("Where is my passport?", "My passport is in the blue drawer.", "Tell me where my passport is."),
    ("Dove abito?", "Abito a Torino.", "Mio fratello si è trasferito a Bari."),
    ("¿Dónde vivo?", "Vivo en Sevilla.", "Mi hermana se ha mudado a Cádiz."),
    ("What sport do I do?", "I do fencing twice a week.", "My cousin's daughter does sport all day long."),
]


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("newest"), timezone="UTC") as memory:
        yield memory


def told(space, *texts, speaker="Kim", days=60):
    return [space.add(t, at=T0 + timedelta(days=days * i), speaker=speaker) for i, t in enumerate(texts)]


def first(space, question):
    return space.search(question, 5)[0].cube.text


@pytest.mark.parametrize(("question", "old", "new"), CHANGED, ids=[n for _, _, n in CHANGED])
def test_what_came_in_for_a_statement_is_first(memory, question, old, new):
    space = memory.space(f"changed-{CHANGED.index((question, old, new))}")
    told(space, old, "The post was late again.", new, "It rained the whole weekend.")
    assert first(space, question) == new
    assert [hit.cube.text for hit in space.search(question, 1)] == [new]  # one hit is the first of more


def test_what_came_in_for_a_statement_does_not_give_way_to_what_others_did_before(memory):
    space = memory.space("came-in")
    new = "Crete is off, we booked Malta instead."
    told(
        space,
        "We're going to Crete in June.",
        "Paul is going to Oslo.",
        "It rained.",
        new,
        days=1,
    )
    hits = [hit.cube.text for hit in space.search("Where are we going on holiday?")]
    assert hits[:2] == [new, "We're going to Crete in June."]


def test_an_english_question_with_a_word_of_another_language_is_not_its_askers(memory):
    space = memory.space("door")
    for speaker, text in (
        ("Mira", "Somebody has chalked our number on the wall. It's 9062."),
        ("Iris", "The door code is 9062."),
    ):
        told(space, text, speaker=speaker, days=1)
        space.update(space.cubes().items[-1].id, at=T0 + timedelta(hours=space.count()))
    assert first(space, "What is the door code?") == "The door code is 9062."


CHAT = [
    "Finally got the keys for the new place on Elm Street.", "My mum turns 70 in October, we need to plan something.",
    "She hates surprises, so maybe just a lunch at Da Mario.", "The vet said Biscuit needs to lose two kilos, so no more cheese.",
    "Can't do dairy any more, doctor's orders.", "Locker code at the gym is 7731.", "Jonas owes me 60 euros for the concert.",
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("Tell me about Biscuit", "Biscuit"),
        ("Remind me about Jonas?", "Jonas"),
        ("who owes me money?", "Jonas"),
        ("what's the combination for my gym locker?", "7731"),
    ],
)
def test_what_is_far_from_the_question_is_not_put_first_for_being_its_askers_own(memory, question, word):
    space = memory.space("chat")
    if not space.count():
        for i, text in enumerate(CHAT):
            space.add(text, role="user", at=T0 + timedelta(hours=7 * i))
            space.add("I'll keep that in mind.", role="assistant", at=T0 + timedelta(hours=7 * i, minutes=1))
    assert word in first(space, question)


@pytest.mark.parametrize(("question", "own", "remark"), REMARKS, ids=[r for _, _, r in REMARKS])
def test_a_later_remark_is_not_first(memory, question, own, remark):
    space = memory.space(f"remark-{REMARKS.index((question, own, remark))}")
    told(space, own, "The post was late again.", remark)
    assert first(space, question) == own


def test_the_order_of_insertion_does_not_matter(memory):
    question, old, new = CHANGED[1]
    texts = [old, new, "The post was late again."]
    found = set()
    for i, order in enumerate(permutations(range(3))):
        space = memory.space(f"order-{i}")
        for n in order:
            space.add(texts[n], at=T0 + timedelta(days=n), speaker="Kim")
        found.add(tuple(hit.cube.text for hit in space.search(question, 5))[:2])
    assert found == {(new, old)}


def test_of_facts_in_the_same_words_the_last_told_is_first_and_says_why(tmp_path):
    with Mnemos(tmp_path, embedder="none", timezone="UTC") as memory:
        space = memory.space("facts")
        cities = ("Ulm", "Oslo", "Lima")
        space.add_many(
            [{"content": f"The seat of Quorvel is {c}.", "at": T0 + timedelta(minutes=i)} for i, c in enumerate(cities)]
            + [{"content": "The seat of Marn is Rome.", "at": T0 + timedelta(minutes=9)}]
        )
        hits = space.search("What is the seat of Quorvel?", 5)
        assert hits[0].cube.text == "The seat of Quorvel is Lima."
        assert all(sum(hit.why.values()) == pytest.approx(hit.score) for hit in hits)


def hits_of(cubes, space):
    """Return the hits of cubes in their order, each with a lower score."""
    keys = space.store.keys_of([c.id for c in cubes])
    return [(key, Hit(c, 1 - i / 4, {"bm25": 1 - i / 4})) for i, (key, c) in enumerate(zip(keys, cubes, strict=True))]


def test_a_search_for_superseded_cubes_and_a_question_of_the_past_keep_their_order(memory):
    question, old, new = CHANGED[1]
    space = memory.space("past")
    found = hits_of(told(space, old, new), space)
    part = PromoteNewest()
    with space.store.transaction(write=False):
        assert part.rerank(space.store, Asked(question), found, Filter(superseded=True), 9) == found
        for past in ("Which bike did I ride in 2019?", "Which bike was I riding back then?", "What had I bought?"):
            assert not asks_now(past)
            assert part.rerank(space.store, Asked(past), found, Filter(), 9) == found
        moved = part.rerank(space.store, Asked(question), found, Filter(), 9)
    assert [hit.cube.text for _, hit in moved] == [new, old]
    assert moved[0][1].why == {WHY: 0.25, "bm25": 0.75}
    assert moved[0][1].score == 1


@pytest.mark.parametrize(
    "question", ["Where do I live now?", "What car do I have?", "Do I still have a boyfriend?", "Who am I married to?"]
)
def test_a_question_of_now(question):
    assert asks_now(question)


def statement(text, day, speaker):
    return Statement(read_telling(text), day, (speaker, None, None), None, None)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["Kim", "Bo"])), min_size=1, max_size=LOOKED_AT))
def test_nobody_else_speaks_for_the_first_and_equal_times_change_nothing(rows):
    stated = [statement("text", day, speaker) for day, speaker in rows]
    place = first_of(read_telling("Where does Kim live?"), stated, lambda x, y: 9.0, BARS)
    assert stated[place].voice == stated[0].voice
    assert place == 0 or stated[place].at > stated[0].at


def test_only_what_nobody_says_of_himself_is_taken_by_its_frame():
    q = read_telling("Where do I keep the key?")
    own = [statement(f"I keep the key in the {place}.", day, None) for day, place in enumerate(("shed", "hall"))]
    assert last_in_frame(q, own) == 0
    q = read_telling("Who is the head of Zorn?")
    things = [
        statement(f"The head of Zorn is {name}.", day, None) for day, name in enumerate(("Abe", "Bea Zorn", "Cy"))
    ]
    assert last_in_frame(q, things) == 2
    assert not same_frame(q, things[0].told, read_telling("The head of Mull is Cy."))
    assert last_in_frame(q, [statement("The head of Zorn is Abe.", 0, "Kim"), *things[1:]]) == 0


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_shared_ends_do_not_overlap(a, b):
    start, end = ends(tuple(a), tuple(b))
    assert a[:start] == b[:start]
    assert end == 0 or a[-end:] == b[-end:]
    assert start + end <= min(len(a), len(b))


@given(st.text(max_size=80))
def test_any_text_can_be_read(text):
    found = read_telling(text)
    assert len(found.cues) == len(found.opening) == len(KINDS)
    assert all(n > 0 for n, opens in zip(found.cues, found.opening, strict=True) if opens)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Ya no vivo en Madrid", "over"), ("Wir haben jetzt ein Boot", "now"), ("我表妹住在苏州", "other"),
        ("Моя сестра живёт в Казани", "other"), ("If I won I'd buy a boat", "wish"), ("Staying at Mum's until May", "while"),
        ("As a kid I had a parrot", "past"), ("引っ越しました", "over"),
    ],
)  # fmt: skip
def test_cues_of_many_languages(text, kind):
    assert read_telling(text).cues[KINDS.index(kind)] > 0


def test_without_vectors_the_words_are_judged(tmp_path):
    question, old, new = CHANGED[2]
    with Mnemos(tmp_path, embedder="none", timezone="UTC") as memory:
        space = memory.space("words")
        told(space, old, new)
        assert first(space, question) == new


def test_a_user_whom_nobody_names_is_judged_as_a_person(memory):
    space = memory.space("no names")
    for i, text in enumerate(("I get up at six.", "It rained.", "I get up at five these days.", "Long day.")):
        space.add(text, role="user", at=T0 + timedelta(days=30 * i))
    assert first(space, "When do I get up?") == "I get up at five these days."


def test_words_that_are_written_with_vowel_signs_are_cues():
    assert read_telling("मैं अब पुणे में हूँ").cues[KINDS.index("self")]
    assert not asks_now("What was my job?")
    assert asks_now("Was ist mein Beruf?")
