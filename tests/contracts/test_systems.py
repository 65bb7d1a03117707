"""What every system keeps, in one scenario: `pytest tests/contracts/test_systems.py -k NAME` checks one."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.errors import NotFound
from mnemos.registry import all_entries
from mnemos.text.base import Encoder, Law, Phase, Reranker, Retriever, System, Updater
from mnemos.text.system import load_system, system_names

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
NAMES = [entry.name for entry in all_entries("text", kind="system")]
TALK = (
    "The marmalade cat sleeps on the piano.",
    "Our neighbour Ilse repairs old bicycles.",
    "The observatory opens again on Friday.",
    "Grandfather's compass points a little east.",
)


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_it_is_made_of_methods_that_keep_their_contracts(name):
    system = load_system(name)
    assert isinstance(system, System)
    assert isinstance(system.encode, Encoder)
    assert isinstance(system.retrieve, Retriever)
    assert all(isinstance(r, Reranker) for r in system.rerank)
    assert isinstance(system.update, Updater)
    assert isinstance(system.law, Law)
    assert all(isinstance(p, Phase) for p in system.phases)
    assert load_system(name) == system
    with pytest.raises(FrozenInstanceError):
        system.law = None


def test_what_is_added_is_found_changed_erased_and_there_after_a_restart(tmp_path, clock, name):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        space = memory.space("ana", system=name)
        cubes = space.add_many([{"content": text, "id": f"c{i}", "session": "s"} for i, text in enumerate(TALK)])
        assert [c.text for c in cubes] == list(TALK)
        assert space.search("marmalade cat piano")[0].cube.id == "c0"
        assert space.search("who repairs bicycles", k=1)[0].cube.id == "c1"
        new = space.update("c2", content="The observatory stays closed until March.")
        assert (new.version, space.get("c2").text) == (2, new.text)
        assert [c.text for c in space.history("c2")] == [TALK[2], new.text]
        assert space.search("observatory closed until March", k=1)[0].cube.text == new.text
        assert [h.cube.id for h in space.search("observatory", session="elsewhere")] == []
        clock.now += timedelta(hours=1)
        space.consolidate()
        assert not space.consolidate().written
        receipt = space.forget(["c3"])
        assert receipt.verified
        assert space.count() == 3
        assert not any("compass" in h.cube.text for h in space.search("compass"))
    data = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"compass" not in data
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        space = memory.space("ana", system=name)
        assert space.count() == 3
        assert space.search("marmalade cat piano")[0].cube.id == "c0"
        assert space.get("c2").version == 2


def test_no_system_loses_a_text_that_it_was_told(tmp_path, clock, name):
    """UPDATE, DELETE, NOOP, merging and pruning of papers take texts out of search; only `forget` erases one."""
    told = [
        "I live in Porto.", "I live in Porto.", "I moved to Faro.", "I live in Faro, Portugal.", "I do not live in Porto.",
        *TALK, TALK[0], "Thanks!", "How are you?",
    ]  # fmt: skip
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        space = memory.space("ana", system=name)
        cubes = []
        for i, text in enumerate(told):
            clock.now = T0 + timedelta(days=i)
            cubes.append(space.add(text, speaker="Ana", session=f"s{i // 3}"))
            space.search("Where do I live?")
        clock.now += timedelta(days=400)
        for _ in range(3):
            space.consolidate()
        assert [space.get(c.id).text for c in cubes] == told
        assert all({v.text for v in space.history(c.id)} == {text} for c, text in zip(cubes, told, strict=True))
        gone = space.forget(query="Porto")
        assert gone.verified
        assert not any("Porto" in c.text for c in space.cubes(state="any", include_derived=True))
        assert "Porto" not in space.context("Where did I live?", tokens=4_000)


def test_the_system_of_an_open_space_is_remembered(tmp_path, clock, name):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        space = memory.space("ana", system=name)
        assert memory.space("ana") is space
        assert space.text.system == load_system(name)
        assert memory.space("ana", system="mnemos") is space
        assert space.text.system == load_system("mnemos")


def test_a_space_written_by_one_system_is_read_by_another(tmp_path, clock, name):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        memory.space("ana", system=name).add(TALK[0], id="c0")
        for other in NAMES:
            space = memory.space("ana", system=other)
            space.reindex() if space.text.embedder else None
            assert space.search("marmalade cat piano")[0].cube.id == "c0"


def test_an_unknown_system_answers_with_near_ones(tmp_path):
    assert {"mnemos", "bm25", "vectors", "memorybank"} <= set(system_names())
    with Mnemos(tmp_path, embedder="none") as memory:
        with pytest.raises(NotFound, match="there is no system 'memory-bank': choose from memorybank"):
            memory.space("ana", system="memory-bank")
        with pytest.raises(NotFound, match="there is no system 'ebbinghaus': choose from"):
            memory.space("ana", system="ebbinghaus")
        assert "ana" not in memory
