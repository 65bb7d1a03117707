"""What A-MEM claims (arXiv 2502.12110): links find what one question needs together, notes evolve and are versioned."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.encode.notes import KEY, Notes, note_of
from mnemos.text.system import load_system
from mnemos.text.update.evolve import Evolve

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
NAMES = ("Rita", "Milo", "Greta", "Hugo", "Ivy", "Jonas", "Karla", "Leon", "Nora", "Oskar", "Pia", "Quinn")
CLUBS = ("pottery", "chess", "rowing", "choir", "beekeeping", "climbing", "fencing", "origami", "tango", "sailing",
         "archery", "baking")  # fmt: skip
CARS = ("Saab", "Lada", "Fiat", "Skoda", "Volvo", "Dacia", "Opel", "Mazda", "Honda", "Tesla", "Rover", "Jaguar")


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def chains(space):
    """Tell who was met at which club, and what each drives, in other sessions; among talk that has the words of questions."""
    for i, (name, club) in enumerate(zip(NAMES, CLUBS, strict=True)):
        space.add(f"I met {name} at the {club} club.", id=f"met{i}", session=f"a{i}", speaker="Ana")
        space.add(f"A person at the {club} festival likes to drive.", id=f"noise{i}", session=f"b{i}", speaker="Bo")
    for i, (name, car) in enumerate(zip(NAMES, CARS, strict=True)):
        space.add(f"{name} owns an old {car}.", id=f"car{i}", session=f"c{i}", speaker="Ana")
        space.add(f"Which person at my club does not drive, I wonder, on day {i}?", id=f"talk{i}", session=f"d{i}")


def recall(space, k=4):
    """Return the share of the two texts that each question needs among `k` hits."""
    found = 0
    for i, club in enumerate(CLUBS):
        ids = {h.cube.id for h in space.search(f"What does the person I met at the {club} club drive?", k=k)}
        found += len(ids & {f"met{i}", f"car{i}"})
    return found / (2 * len(CLUBS))


def test_links_find_what_two_steps_need_and_the_nearest_alone_do_not(memory):
    system = load_system("a-mem")
    systems = {
        "a-mem": system,
        "no links": replace(system, rerank=()),
        "vectors": load_system("vectors"),
    }
    found = {}
    for name, each in systems.items():
        space = memory.space(name, system=each)
        chains(space)
        found[name] = recall(space)
    assert found["a-mem"] > found["vectors"] + 0.15
    assert found["a-mem"] > found["no links"] + 0.15


def test_evolution_brings_a_note_nearer_to_questions_about_what_it_shares(memory):
    """A long text is about many things; what a later one shares with it is what it is asked for."""
    ranks = {}
    for evolves in (True, False):
        system = replace(load_system("a-mem"), rerank=(), update=Evolve(evolves=evolves))
        space = memory.space(str(evolves), system=system)
        for i, club in enumerate(CLUBS):
            many = " ".join(f"{NAMES[i]}{j} and {CARS[i]}{j} argued over {club[:3]}{j} for hours." for j in range(4))
            space.add(f"{many} {club.capitalize()} came up.", id=f"long{i}")
            space.add(f"Not {club}, but a ball on day {i}.", id=f"other{i}")
        for club in CLUBS:
            space.add(f"New courses of {club}.", session="later")
        ranks[evolves] = 0.0
        for i, club in enumerate(CLUBS):
            scores = {h.cube.id: h.score for h in space.search(club, k=36)}
            ranks[evolves] += scores.get(f"long{i}", 0.0)
    assert ranks[True] > 1.05 * ranks[False]


def test_a_neighbour_changes_with_a_related_note_and_both_versions_are_kept(memory, clock):
    space = memory.space("ana", system="a-mem")
    text = "We talked for hours. The Saab of Rita broke down near the mill. It rained on the picnic tables."
    first = space.add(text, id="old")
    assert first.metadata[KEY]["keywords"] == list(note_of(text).keywords)
    clock.now = T0 + timedelta(days=1)
    space.add("Rita repaired the Saab near the mill.", id="new")
    before, after = space.history("old")
    assert (before.text, after.text, before.version, after.version) == (text, text, 1, 2)
    assert after.metadata[KEY] != before.metadata[KEY]
    assert after.metadata[KEY]["context"] == "The Saab of Rita broke down near the mill."
    assert [(x.a, x.b) for x in space.links(kind="similar")] == [("new", "old")]
    assert space.search("Saab", k=1, as_of=T0 + timedelta(hours=1))[0].cube.version == 1


def test_an_erased_note_leaves_no_word_in_the_notes_of_others(memory):
    space = memory.space("ana", system="a-mem")
    space.add("Rita likes the harbour cafe in winter.", id="old")
    space.add("Rita likes the harbour cafe with the walnut trees.", id="new")
    assert space.forget(["new"]).verified
    assert "walnut" not in str([v.to_dict() for v in space.history("old")])


def test_a_repeated_write_is_still_known_and_what_users_noted_is_kept(memory):
    space = memory.space("ana", system="a-mem")
    given = {"content": "Rita owns a Saab.", "at": "2024-01-01", "metadata": {"note": "mine"}}
    [first] = space.add_many([given])
    [again] = space.add_many([given])
    assert again.id == first.id
    assert (first.metadata["note"], space.count()) == ("mine", 1)


def test_the_note_is_embedded_with_the_text_and_not_searched_by_words(memory):
    space = memory.space("ana", system="a-mem")
    cube = space.add("I repaired the kettle. My doctor was ill.", id="c")
    [entry] = Notes().encode([cube], space.text.embedder)
    plain = load_system("vectors").encode.encode([cube], space.text.embedder)[0]
    assert (entry.terms, entry.dates) == (plain.terms, plain.dates)
    assert (entry.vector != plain.vector).any()
    assert cube.metadata[KEY]["tags"] == ["health", "home"] or "health" in cube.metadata[KEY]["tags"]
    space.update("c", content="The garden is full of leeks.")
    assert "kettle" not in space.get("c").metadata[KEY]["keywords"]
