"""What Mem0 claims (arXiv 2504.19413): the latest value, a store that grows slowly, short prompts, times by its graph."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.recall.context import estimate_tokens

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
PEOPLE = ("Ana", "Bo", "Carla", "Dev", "Esra", "Finn")
CITIES = ("Porto", "Faro", "Ghent", "Riga", "Turin", "Lyon", "Cork", "Graz")
TOLD = ("I live in {c}.", "I live in {c} now.", "I moved to {c}.")
TALK = ("The rain does not stop today.", "We watched the match with friends.", "I slept badly, what a night.")


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def year(space, clock, moves=4):
    """Tell a year: each person moves a number of times, says so three times over, and talks; return where each lived."""
    homes = {}
    for month in range(3 * moves):
        for i, name in enumerate(PEOPLE):
            city = CITIES[(i + month // 3) % len(CITIES)]
            clock.now = T0 + timedelta(days=30 * month, minutes=i)
            space.add(TOLD[(i + month) % 3].format(c=city) if month % 3 == 0 else f"I live in {city}.", speaker=name)
            space.add(TALK[(i + month) % 3], speaker=name)
            homes[name, month] = city
    return homes


def first_is(space, question, city, **options):
    found = space.search(question, k=1, **options)
    return bool(found) and city in found[0].cube.text


def test_it_answers_with_the_latest_value_where_appending_does_not(memory, clock):
    right = {}
    for name in ("mem0", "vectors"):
        space = memory.space(name, system=name)
        homes = year(space, clock)
        right[name] = sum(first_is(space, f"Where does {p} live?", homes[p, 11], speaker=p) for p in PEOPLE)
        clock.now = T0
    assert right["mem0"] == len(PEOPLE)
    assert right["vectors"] <= len(PEOPLE) / 2


def test_it_grows_more_slowly_than_what_is_told_and_keeps_every_text(memory, clock):
    space, appended = memory.space("mem0", system="mem0"), memory.space("vectors", system="vectors")
    sizes = []
    for month in range(12):
        clock.now = T0 + timedelta(days=30 * month)
        for name in PEOPLE:
            for each in (space, appended):
                each.add("I live in Porto.", speaker=name)
        sizes.append(space.count())
    assert (sizes[0], sizes[-1], appended.count()) == (6, 6, 72)
    told = [c.text for c in space.cubes(state="any", limit=500).items]
    assert told == ["I live in Porto."] * 72  # none is lost: NOOP archives
    archived = space.cubes(state="archived").items
    assert space.unarchive([archived[0].id]) == [archived[0].id]
    assert {d.action for d in space.decisions(limit=500)} == {"NOOP"}


def test_a_prompt_costs_less_than_a_tenth_of_the_conversation(memory, clock):
    space = memory.space("mem0", system="mem0")
    year(space, clock)
    whole = sum(estimate_tokens(c.text) for c in space.cubes(state="any", limit=500).items)
    for i in range(300):
        space.add(f"On walk {i} we saw {i % 7} herons by the river and talked about plan {i}.", speaker="Bo")
        whole += 20
    shown = space.context("Where does Ana live?", tokens=10_000, k=10)
    assert "live in" in shown
    assert estimate_tokens(shown) < whole / 10


def test_more_detail_replaces_less_and_neither_is_lost(memory):
    space = memory.space("mem0", system="mem0")
    less = space.add("I live in Porto.", speaker="Ana")
    more = space.add("I live in Porto, Portugal.", speaker="Ana")
    assert [space.get(x.id).state for x in (less, more)] == ["archived", "active"]
    assert [(x.a, x.b) for x in space.links(kind="supersedes")] == [(more.id, less.id)]
    assert [d.action for d in space.decisions(more.id)] == ["UPDATE"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I live in Porto.", "I do not live in Porto."),  # denied
        ("I work at Acme.", "I work at Acme with Rita."),  # one word more
        ("My sister lives in Porto.", "I live in Porto."),  # somebody else
        ("I went to the gym yesterday.", "I went to the gym yesterday."),  # another day
    ],
)
def test_what_may_be_new_is_never_taken_for_known(memory, clock, first, second):
    space = memory.space("mem0", system="mem0")
    space.add(first, speaker="Ana")
    clock.now += timedelta(days=9)
    assert space.get(space.add(second, speaker="Ana").id).state == "active"


def test_nobody_makes_anothers_words_known(memory):
    space = memory.space("mem0", system="mem0")
    space.add("Ana lives in Porto.", speaker="Bo")
    assert space.get(space.add("I live in Porto.", speaker="Ana").id).state == "active"


def test_its_graph_answers_questions_about_earlier_times(memory, clock):
    right = {}
    for name in ("mem0-graph", "mem0"):
        space = memory.space(name, system=name)
        homes = year(space, clock)
        then = {month: T0 + timedelta(days=30 * month + 10) for month in (1, 4, 7)}
        right[name] = sum(
            first_is(space, f"Where did {p} live in {when:%B %Y}?", homes[p, month], speaker=p)
            for p in PEOPLE
            for month, when in then.items()
        )
        clock.now = T0
    assert right["mem0-graph"] >= 16  # of 18
    assert right["mem0"] <= 12


def test_a_triple_is_found_by_its_entities(memory):
    for name in ("mem0-graph", "mem0"):
        space = memory.space(name, system=name)
        space.add("My sister lives in Riga.", speaker="Ana", id="sister")
        for i in range(6):
            space.add(f"Bo asked where does this bus go, line {i}.", speaker="Ana")
    question = "Where does this bus go, the line that the sister in Riga takes?"
    assert memory.space("mem0-graph").search(question, k=1)[0].cube.id == "sister"
    assert memory.space("mem0").search(question, k=1)[0].cube.id != "sister"
