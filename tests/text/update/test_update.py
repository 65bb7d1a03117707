from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput, NotFound

T0 = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


def tell(space, clock, *texts, **options):
    cubes = []
    for text in texts:
        cubes.append(space.add(text, speaker="Ana", **options))
        clock.now += timedelta(days=10)
    return cubes


def living(space, attribute):
    return [f.value for f in space.facts("ana", attribute)]


def test_a_changed_fact_supersedes_the_old_one_and_both_stay(space, clock):
    porto, faro = tell(space, clock, "I live in Porto.", "I moved to Faro.")
    assert [h.cube.id for h in space.search("where does Ana live or moved to")] == [faro.id]
    found = {h.cube.id: h.cube for h in space.search("where does Ana live or moved to", include_superseded=True)}
    assert found.keys() == {porto.id, faro.id}
    old = found[porto.id]
    assert (old.state, old.version, old.valid_to) == ("superseded", 2, T0 + timedelta(days=10))
    assert space.history(porto.id)[0] == porto.__class__(**{**_fields(porto), "replaced": T0 + timedelta(days=10)})
    [decision] = space.decisions(faro.id)
    assert (decision.action, decision.others, decision.maker) == ("SUPERSEDE", (porto.id,), "rules")
    assert [(x.a, x.b, x.kind) for x in space.links(faro.id, kind="supersedes")] == [(faro.id, porto.id, "supersedes")]


def _fields(cube):
    return {name: getattr(cube, name) for name in cube.__dataclass_fields__}


def test_as_of_answers_what_was_believed_at_every_earlier_moment(space, clock):
    cities = ["Porto", "Faro", "Braga", "Evora", "Sintra"]
    moments = []
    for city in cities:
        space.add(f"I moved to {city}.", speaker="Ana")
        moments.append(clock.now)
        clock.now += timedelta(days=30)
    for city, moment in zip(cities, moments, strict=True):
        hits = space.search("Where has Ana moved to?", as_of=moment + timedelta(days=1), include_superseded=False)
        assert [h.cube.text for h in hits] == [f"I moved to {city}."]
        assert [f.value for f in space.facts("ana", "live in", as_of=moment)] == [city]


def test_history_told_in_any_order_comes_out_the_same(space, clock):
    clock.now += timedelta(days=1_000)
    for day, city in ((200, "Braga"), (0, "Porto"), (100, "Faro")):
        space.add(f"I moved to {city}.", speaker="Ana", at=T0 + timedelta(days=day))
    assert living(space, "live in") == ["Braga"]
    spans = {f.value: (f.valid_from, f.valid_to) for f in space.facts("ana", "live in", include_ended=True)}
    assert spans["Braga"] == (T0 + timedelta(days=200), None)
    assert spans["Porto"][0] == T0
    assert spans["Faro"] == (T0 + timedelta(days=100), T0 + timedelta(days=200))


def test_what_was_true_is_another_question_than_what_was_believed(space, clock):
    space.add("I live in Porto.", speaker="Ana", at=T0)
    clock.now += timedelta(days=100)
    space.add("I moved to Faro last month.", speaker="Ana")
    moment = T0 + timedelta(days=90)
    assert [f.value for f in space.facts("ana", "live in", true_at=moment)] == ["Faro"]
    assert [f.value for f in space.facts("ana", "live in", true_at=moment, as_of=moment)] == ["Porto"]
    assert [f.value for f in space.facts("ana", "live in", true_at=T0 + timedelta(days=5))] == ["Porto"]


def test_links_that_follow_from_the_rows_are_shown_with_a_cube(space, clock):
    a, b, c = tell(space, clock, "I live in Porto.", "I work at Bosch.", "Nothing to say.", session="s1")
    space.add("My dog is called Rex.", speaker="Ana")
    found = {(x.a, x.b, x.kind) for x in space.links(b.id)}
    assert {(b.id, a.id, "follows"), (c.id, b.id, "follows"), (b.id, a.id, "same entity")} <= found
    space.consolidate()
    assert {x.kind for x in space.links(a.id)} >= {"derived from", "same entity", "follows"}


def test_the_same_statement_again_is_a_memory_of_its_own_that_supports_the_first(space, clock):
    first, again, variant = tell(space, clock, "I live in Porto.", "I live in Porto!", "I am living in Porto now")
    assert len({first.id, again.id, variant.id}) == space.count() == 3
    assert {(x.a, x.b) for x in space.links(kind="supports")} == {
        (again.id, first.id), (variant.id, first.id), (variant.id, again.id),
    }  # fmt: skip


def test_more_detail_is_a_memory_of_its_own_that_supports_the_first(space, clock):
    first, second = tell(space, clock, "I live in Porto.", "I live in Porto Portugal.")
    assert (second.version, second.text) == (1, "I live in Porto Portugal.")
    assert [c.text for c in space.history(first.id)] == ["I live in Porto."]
    assert [(x.a, x.b, x.kind) for x in space.links(second.id, kind="supports")] == [(second.id, first.id, "supports")]


def test_a_cube_that_says_more_stays_but_stands_behind_the_change(space, clock):
    porto, faro = tell(
        space, clock, "I live in Porto and Rex the dog chases gulls on the beach.", "I moved to Faro last week."
    )
    assert space.get(porto.id).state == "active"
    hits = [h.cube.id for h in space.search("Where does Ana live: Porto? Rex chases gulls? moved?")]
    assert hits == [faro.id, porto.id]
    assert living(space, "live in") == ["Faro"]


def test_saying_that_it_is_no_longer_so_ends_it(space, clock):
    tell(space, clock, "I work at Bosch.", "I no longer work at Bosch.")
    assert [(f.value, f.negated) for f in space.facts("ana", "work at")] == [("Bosch", True)]
    tell(space, clock, "I work at Bosch.")
    assert [(f.value, f.negated) for f in space.facts("ana", "work at")] == [("Bosch", False)]


def test_several_values_may_hold_where_they_can(space, clock):
    tell(space, clock, "I'm allergic to peanuts.", "I'm allergic to shrimp.", "I speak Dutch.", "I speak Thai.")
    assert living(space, "allergic to") == ["peanuts", "shrimp"]
    assert living(space, "speak") == ["Dutch", "Thai"]


@pytest.mark.parametrize(
    "text",
    ["Do I live in Rome?", "I would live in Rome if I could.", "I'm thinking of moving to Rome.", "Bo said that I live in Rome.",
     "Maybe I live in Rome.", "If I lived in Rome, I'd be happy."],
)  # fmt: skip
def test_questions_wishes_and_hearsay_end_nothing(space, clock, text):
    tell(space, clock, "I live in Porto.", text)
    assert living(space, "live in") == ["Porto"]


def test_facts_are_those_of_whoever_said_them(space, clock):
    tell(space, clock, "I live in Porto.")
    space.add("I live in Oslo.", speaker="Bo")
    space.add("My sister Rita lives in Rome.", speaker="Bo")
    assert {(f.subject, f.value) for f in space.facts(attribute="live in")} == {
        ("ana", "Porto"), ("bo", "Oslo"), ("rita", "Rome"),
    }  # fmt: skip


def test_erasing_what_superseded_a_cube_brings_it_back(space, clock):
    porto, faro = tell(space, clock, "I live in Porto.", "I moved to Faro.")
    assert space.forget([faro.id]).verified
    assert space.get(porto.id).state == "active"
    assert living(space, "live in") == ["Porto"]
    assert [h.cube.id for h in space.search("Porto")] == [porto.id]
    assert [v.version for v in space.history(porto.id)] == [1]


def test_appending_decides_nothing(space, clock):
    tell(space, clock, "I live in Porto.", "I live in Porto.", "I moved to Faro.", reconcile=False)
    assert space.count() == 3
    assert space.facts() == []


def test_a_batch_decides_in_its_order(space, clock):
    texts = ["I live in Porto.", "I moved to Faro.", "I like tea.", "I moved to Braga.", "I hate tea."]
    space.add_many([{"content": t, "speaker": "Ana", "at": T0 + timedelta(days=i)} for i, t in enumerate(texts)])
    assert living(space, "live in") == ["Braga"]
    assert living(space, "feeling about tea") == ["dislikes"]
    assert {c.text for c in space.cubes().items} == {"I moved to Braga.", "I hate tea."}


def test_rollback_brings_a_version_back_and_loses_none(space, clock):
    [cube] = tell(space, clock, "The deadline is Friday.")
    space.update(cube.id, content="The deadline is Monday.")
    clock.now += timedelta(days=1)
    back = space.rollback(cube.id, 1)
    assert (back.text, back.version) == ("The deadline is Friday.", 3)
    assert [v.text for v in space.history(cube.id)] == [
        "The deadline is Friday.", "The deadline is Monday.", "The deadline is Friday.",
    ]  # fmt: skip
    assert [f.value for f in space.facts(attribute="deadline")] == ["Friday"]
    with pytest.raises(NotFound, match="versions 1 to 3"):
        space.rollback(cube.id, 7)
    with pytest.raises(InvalidInput, match="its current content"):
        space.rollback(cube.id, 3)


def test_an_update_by_hand_supersedes_others(space, clock):
    porto, other = tell(space, clock, "I live in Porto.", "Something else entirely.")
    space.update(other.id, content="I moved to Faro.")
    assert living(space, "live in") == ["Faro"]
    assert space.get(porto.id).state == "superseded"


def test_two_writers_at_once_leave_one_living_value(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with Mnemos(tmp_path, embedder="none") as a, Mnemos(tmp_path, embedder="none") as b:
        spaces = [a.space("ana"), b.space("ana")]
        cities = [f"City{chr(65 + i)}ville" for i in range(20)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda i: spaces[i % 2].add(f"I live in {cities[i]}.", speaker="Ana"), range(20)))
        assert len(spaces[0].facts("ana", "live in")) == 1
        assert len(spaces[0].facts("ana", "live in", include_ended=True)) == 20
