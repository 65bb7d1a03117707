"""A fact ends only where that is certain; what contradicts nothing stays, and history has no order of telling."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos import Mnemos

T0 = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def space(tmp_path, clock):
    clock.now += timedelta(days=3_000)
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def tell(space, *texts, **options):
    return [space.add(text, speaker="Ana", at=T0 + timedelta(days=10 * i), **options) for i, text in enumerate(texts)]


def ended(space):
    return sorted(f.value for f in space.facts(include_ended=True) if f.valid_to is not None)


KEEP = [
    ("I live in Porto.", "We moved to Postgres."),
    ("I live in Porto.", "We moved to Gmail last week."),
    ("I live in Porto.", "I moved to the Platform team."),
    ("I live in Porto.", "We moved to the Berlin team."),
    ("I live in Porto.", "I moved to Neovim."),
    ("I live in Porto.", "We moved to the Frankfurt region because of the price."),
    ("I live in Porto.", "In winter I live in Nerja."),
    ("I live in Porto.", "I also live in Oslo."),
    ("I live in Porto.", "I live in Oslo on weekends."),
    ("I live in Porto.", "I'm living in Oslo for two months."),
    ("I live in Porto.", "I wish I lived in Oslo."),
    ("I live in Porto.", "If I get the job I will move to Oslo."),
    ("I work at Bosch.", "I joined LinkedIn."),
    ("I work at Bosch.", "I left Bosch at six."),
    ("I work at Bosch.", "I left Bosch early to catch a train."),
    ("I work at Bosch.", "I left my phone at work."),
    ("I work at Bosch.", "I work at Rex Cinema."),
    ("I work at Bosch.", "I now also work at Rex Cinema."),
    ("My doctor is Dr. Lee.", "My doctor is Dr. Kim."),
    ("I drive a Volvo V60.", "I drive a Fiat Panda in summer."),
    ("My dog is called Rex.", "My dog is called Bo."),
    ("My friend lives in Oslo.", "My friend lives in Rome."),
    ("My sister lives in Oslo.", "My sister moved to Rome."),
    ("I live in New York.", "I live in York."),
    ("My phone is 555-100-2000.", "My work phone is 555-100-3000."),
]
END = [
    ("I live in Porto.", "I live in Faro."),
    ("I live in Porto.", "I moved to Faro."),
    ("I live in Porto.", "I no longer live in Porto."),
    ("I work at Bosch.", "I left Bosch after ten years."),
    ("I work at Bosch.", "I work at Siemens now."),
    ("I work at Bosch.", "I joined Siemens as an engineer."),
    ("My doctor is Dr. Lee.", "My new doctor is Dr. Kim."),
    ("I drive a Volvo V60.", "I drive a Fiat Panda now."),
    ("My rent is $1,200.", "My rent is $1,300."),
    ("My time zone is UTC+2.", "My time zone is UTC-2."),
    ("I'm vegan.", "I went keto."),
    ("I love coffee.", "I hate coffee."),
    ("I'm dating Luca.", "I broke up with Luca."),
    ("The deadline of Atlas is May 2.", "The deadline of Atlas is May 9."),
]


@pytest.mark.parametrize(("first", "second"), KEEP)
def test_what_contradicts_nothing_stays_in_sight(space, first, second):
    tell(space, first, second)
    assert ended(space) == []
    assert {c.text for c in space.cubes()} == {first, second}


@pytest.mark.parametrize(("first", "second"), END)
def test_what_surely_changed_is_shown_behind_the_new(space, first, second):
    old, new = tell(space, first, second)
    assert len(ended(space)) == 1
    [hit] = [h for h in space.search(first) if h.earlier]
    assert (hit.cube.id, [c.id for c in hit.earlier]) == (new.id, [old.id])
    assert hit.score == pytest.approx(sum(hit.why.values()))
    assert first in space.context(first)
    assert "(earlier, until 2024-01-11: " in space.context(first)
    assert old.id in {h.cube.id for h in space.search(first, include_superseded=True)}


@pytest.mark.parametrize(
    ("first", "second"),
    [("The deadline is Monday.", "The deadline is Friday."), ("Port: 8080", "Port: 9090"),
     ("My password is hunter1.", "My password is hunter2.")],
)  # fmt: skip
def test_what_names_nothing_is_that_of_its_session(space, first, second):
    space.add(first, session="a", at=T0)
    space.add(second, session="b", at=T0 + timedelta(days=1))
    assert ended(space) == []
    space.add(second, session="a", at=T0 + timedelta(days=2))
    assert len(ended(space)) == 1


def test_a_superseded_cube_whose_successor_is_filtered_out_is_a_hit_of_its_own(space):
    old = space.add("I live in Porto.", speaker="Ana", session="a", at=T0)
    space.add("I live in Faro.", speaker="Ana", session="b", at=T0 + timedelta(days=1))
    assert [(h.cube.id, h.earlier) for h in space.search("Where does Ana live?", session="a")] == [(old.id, ())]


CITIES = ("Oslo", "Ghent", "Porto", "Faro", "Oslo")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_oslo_ghent_porto_in_any_order(space, order):
    years = {"Oslo": 2021, "Ghent": 2023, "Porto": 2022}
    told = list(years.items())
    for i in order:
        space.add(f"I live in {told[i][0]}.", speaker="Ana", at=datetime(told[i][1], 1, 1, tzinfo=UTC))
    spans = {f.value: (f.valid_from.year, f.valid_to and f.valid_to.year) for f in space.facts(include_ended=True)}
    assert spans == {"Oslo": (2021, 2022), "Porto": (2022, 2023), "Ghent": (2023, None)}
    valid = {c.text: c.valid_to and c.valid_to.year for c in space.cubes(include_superseded=True)}
    assert valid == {"I live in Oslo.": 2022, "I live in Porto.": 2023, "I live in Ghent.": None}


SAID = st.lists(
    st.tuples(st.sampled_from(["I live in {}.", "I no longer live in {}.", "I moved to {}."]), st.sampled_from(CITIES)),
    min_size=2, max_size=6,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(SAID, st.randoms(use_true_random=False))
def test_any_order_of_telling_gives_the_same_intervals(tmp_path_factory, said, random):
    told = [(text.format(city), T0 + timedelta(days=i)) for i, (text, city) in enumerate(said)]
    other = random.sample(told, len(told))
    with Mnemos(tmp_path_factory.mktemp("root"), embedder="none") as memory:
        spans = []
        for name, order in (("a", told), ("b", other)):
            for text, at in order:
                memory.space(name).add(text, speaker="Ana", at=at)
            facts = memory.space(name).facts(include_ended=True)
            spans.append(sorted((f.value, f.negated, f.valid_from, f.valid_to or T0.replace(year=9000)) for f in facts))
    assert spans[0] == spans[1]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("gone", range(3))
def test_erasing_one_of_a_history_leaves_the_intervals_of_the_others(space, order, gone):
    cities = ["Oslo", "Porto", "Ghent"]
    cubes = {}
    for i in order:
        cubes[i] = space.add(f"I live in {cities[i]}.", speaker="Ana", at=T0 + timedelta(days=i))
    space.forget([cubes[gone].id])
    left = [i for i in range(3) if i != gone]
    spans = {f.value: (f.valid_from, f.valid_to) for f in space.facts(include_ended=True)}
    days = [T0 + timedelta(days=i) for i in left]
    assert spans == {cities[left[0]]: (days[0], days[1]), cities[left[1]]: (days[1], None)}
    assert [c.text for c in space.cubes()] == [f"I live in {cities[left[1]]}."]
