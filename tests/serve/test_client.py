"""The client against a real server on the loopback: the verbs of Space, its objects and its errors."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

pytest.importorskip("fastapi", reason="needs mnemos-os[serve]")
pytest.importorskip("uvicorn", reason="needs mnemos-os[serve]")


from mnemos import Mnemos
from mnemos.errors import Conflict, InvalidInput, MnemosError, NotFound
from mnemos.guard.erasure import Receipt
from mnemos.serve.client import AsyncClient, AsyncRemoteSpace, Client, RemoteSpace
from mnemos.space import Space
from mnemos.text.consolidate.report import Consolidation

T0 = datetime(2024, 3, 1, 12, tzinfo=UTC)
MESSAGES = [
    {"content": "I moved to Lisbon last May.", "speaker": "Ana", "at": "2024-03-02T10:15:00+02:00", "id": "m1"},
    {"content": "My sister Rita has a new dog.", "speaker": "Ana", "session": "s2", "at": T0, "id": "m2"},
    {
        "role": "user",
        "content": "Rita's dog is called Bolo.",
        "timestamp": 1709632800,
        "topic": {"a": [1, None]},
        "id": "m3",
    },
]


@pytest.fixture
def client(served):
    with Client(served.url, served.key()) as client:
        yield client


@pytest.fixture
def embedded(tmp_path):
    with Mnemos(tmp_path, embedder="hashing", clock=lambda: T0) as memory:
        yield memory


def test_the_same_code_gets_the_same_from_a_server_as_embedded(client, embedded):
    def work(memory):
        space = memory.space("same/as ever")
        cubes = space.add_many(MESSAGES)
        yield cubes
        yield space.search("Where does Rita's dog live?", 3)
        yield space.search("Rita", speaker="Ana", since=datetime(2024, 1, 1), asked_at="2024-04-01", where={})
        yield space.search("dog", where={"topic": {"a": [1, None]}}, method="words")
        yield re.sub(
            r"memory-\w+", "memory", space.context("What is the dog called?", tokens=200)
        )  # a tag of each space
        yield space.quarantined("What is the dog called?")
        yield space.quarantined("Rita", space.search("Rita", 3))
        yield space.used("What is the dog called?", ["m2"])
        yield space.update("m2", content="My sister Rita has two dogs.", metadata={"n": 2.5})
        yield space.history("m2")
        yield space.rollback("m2", 1)
        yield space.get("m2")
        page = space.cubes(limit=2)
        yield page
        yield space.cubes(limit=2, cursor=page.next_cursor, since="2024-01-01", include_derived=True)
        yield list(space.cubes(limit=1))
        yield space.count()
        yield space.cubes(where={"topic": {"a": [1, None]}}).items
        yield space.facts("ana")
        yield space.facts("ana", true_at=datetime(2024, 3, 4), include_ended=True)
        yield space.links("m2")
        yield space.links(kind="similar")
        yield space.add("I moved to Faro.", speaker="Ana", at=T0, id="m4")
        yield space.decisions()
        yield space.decisions("m4", limit=1)
        yield space.search_sessions("Who has a dog?", 2, speaker="Ana")
        yield space.consolidate()
        yield space.pin("m2")
        yield space.get("m2").pinned
        yield space.unpin("m2")
        yield space.archive(["m3", "nope", "m2"])
        yield space.get("m3").state
        yield space.apply_policy()
        yield space.apply_policy(preview=True)
        yield space.unarchive(["m3"])
        yield list(space.dump())
        yield space.forget_preview(query="dogs")
        receipt = space.forget(["m2"])
        yield receipt
        yield space.verify(receipt)
        yield space.inspect.timeline(by="day", until="2024-03-04")
        yield space.inspect.newest(limit=1).items
        yield space.inspect.curve("m1", days=7).law
        yield space.inspect.runs()[0].written
        yield space.inspect.sizes().forms
        space.policy = replace(space.policy, days=400)
        yield space.policy
        yield space.delete("m3")
        entries = space.audit(limit=3)
        yield [(e.index, e.action, e.cubes) for e in entries]
        yield space.verify_audit(), space.verify_audit(head="00")[1]
        yield space.verify_audit(head=entries[-1].chain)
        yield {k: v for k, v in space.stats().items() if k in ("space", "cubes", "versions", "embedder", "superseded")}

    for ours, theirs in zip(work(client), work(embedded), strict=True):
        if isinstance(theirs, Receipt):
            assert (ours.ids, ours.verified, ours.versions) == (theirs.ids, True, theirs.versions)
        elif isinstance(theirs, Consolidation):
            assert ours == theirs
        else:
            assert ours == theirs
        assert type(ours) is type(theirs)
    assert client.spaces() == ["same/as ever"]


def test_the_same_mistakes_raise_the_same_errors(client, embedded):
    def mistakes(memory):
        space = memory.space("err")
        space.add("a", id="m1", session="s")
        yield lambda: space.add("")
        yield lambda: space.add("b", id="m1")
        yield lambda: space.add_many([{"content": "a"}, {"content": 5}])
        yield lambda: space.add_many([{"content": "a"}, "b"])
        yield lambda: space.add("a", metadata={"x": float("nan")})
        yield lambda: space.add("a", at="no date at all")
        yield lambda: space.search("")
        yield lambda: space.search("a", 0)
        yield lambda: space.search("a", method="magic")
        yield lambda: space.search("a", since="no date at all")
        yield lambda: space.cubes(limit=0)
        yield lambda: space.get("nope")
        yield lambda: space.history("../x")
        yield lambda: space.update("m1")
        yield lambda: space.update("m1", nope=1)
        yield lambda: space.rollback("m1", 7)
        yield lambda: space.delete("nope")
        yield lambda: space.forget()
        yield lambda: space.forget(query="zebra")
        yield lambda: space.forget(query="?")
        yield lambda: space.forget(where={})
        yield lambda: space.forget(state="any")
        yield lambda: space.forget(session="")
        yield lambda: space.forget(include_superseded=True)
        yield lambda: space.forget(as_of="2100-01-01")
        yield lambda: space.forget(["m1"], session="s")
        yield lambda: space.forget("m1")
        yield lambda: space.search("a", speaker=3)
        yield lambda: space.search("a", "5")
        yield lambda: space.search("a", speeker="Ana")
        yield lambda: space.cubes(where=["topic"])
        yield lambda: space.cubes(speeker="Ana")
        yield lambda: space.context("a", tokens="5")
        yield lambda: space.archive("m1")
        yield lambda: space.search_sessions("")
        yield lambda: space.pin("nope")
        yield lambda: space.restore([{"cube": 5}])
        yield lambda: space.restore([{**row, "cube": row["cube"] | {"text": "other"}} for row in list(space.dump())])

    for ours, theirs in zip(mistakes(client), mistakes(embedded), strict=True):
        with pytest.raises(MnemosError) as expected:
            theirs()
        with pytest.raises((InvalidInput, NotFound, Conflict)) as got:
            ours()
        assert got.type is expected.type
    assert str(got.value) == str(expected.value)


def test_an_archive_goes_from_anywhere_to_anywhere(client, embedded):
    ours, theirs = client.space("archive"), embedded.space("archive")
    theirs.add_many([{"content": f"number {i}\u2028é", "id": f"m{i}"} for i in range(250)], reconcile=False)
    theirs.update("m7", content="changed")
    rows = list(theirs.dump())
    taken = iter(rows)
    assert ours.restore(taken) == (250, 0)  # whatever yields rows
    assert list(taken) == []
    assert list(ours.dump()) == rows
    assert ours.restore(ours.dump()) == (0, 250)
    assert client.space("copy of archive").restore(ours.dump()) == (250, 0)
    assert embedded.space("copy").restore(ours.dump()) == (250, 0)
    with pytest.raises(NotFound):
        next(client.space("no archive").dump())
    with pytest.raises(InvalidInput, match="JSON"):
        ours.restore([{"cube": {"metadata": {1, 2}}}])
    assert len(ours.cubes(limit=1_000).items) == 250


def test_what_is_not_all_there_is_not_taken_in(served, client):
    def broken():
        yield from list(client.space("broken").dump())
        raise KeyError("the reader of the rows fails")

    def endless():
        yield {"cube": 5}
        for _ in range(3_000):
            yield {"cube": "x" * 10_000}

    with pytest.raises(InvalidInput, match="line 1"):
        client.space("half").restore(endless())
    client.space("broken").add("x", id="a")
    with pytest.raises(KeyError):
        client.space("half").restore(broken())
    assert "half" not in client.spaces() or client.space("half").cubes().items == []


def test_policies_let_go_through_a_client_too(served, client, embedded):
    from mnemos.text.forget.policy import Policy

    for space in (client.space("fade"), embedded.space("fade")):
        space.add_many([{"content": f"n{i}", "id": f"m{i}"} for i in range(5)], reconcile=False)
    for memory in (served.memory, embedded):
        memory.space("fade").policy = Policy(law="fifo", cubes=3, archived_cubes=1)
    expected = embedded.space("fade").apply_policy(preview=True)
    assert len(expected.archived) == 2
    assert client.space("fade").apply_policy(preview=True) == expected
    assert client.space("fade").apply_policy() == embedded.space("fade").apply_policy() == expected
    assert client.space("fade").apply_policy() == embedded.space("fade").apply_policy()


def test_an_async_client_has_the_same_verbs(served, embedded):
    theirs = embedded.space("async verbs")
    theirs.add_many([{"content": f"number {i}", "id": f"m{i}", "session": "s"} for i in range(5)], reconcile=False)
    rows = list(theirs.dump())

    async def work():
        async with AsyncClient(served.url, served.key()) as client:
            space = client.space("async verbs")
            assert await space.restore(rows) == (5, 0)
            assert [row async for row in space.dump()] == rows
            assert await client.space("async copy").restore(space.dump()) == (5, 0)
            assert await space.search_sessions("number 3", 1) == theirs.search_sessions("number 3", 1)
            assert await space.pin("m1") is None
            assert await space.archive(["m1", "m2"]) == ["m1", "m2"]
            assert await space.unarchive(["m1"]) == ["m1"]
            assert await space.apply_policy(preview=True) == theirs.apply_policy(preview=True)
            with pytest.raises(NotFound):
                [row async for row in client.space("no archive").dump()]

    asyncio.run(work())


def test_an_async_client_does_the_same(served):
    async def work():
        async with AsyncClient(served.url, served.key()) as client:
            space = client.space("async")
            cubes = await asyncio.gather(*(space.add(f"number {i}", session="s") for i in range(10)))
            assert len({cube.id for cube in cubes}) == 10
            assert cubes[3] in (await space.cubes()).items
            assert {cube.id async for cube in await space.cubes(limit=3)} == {cube.id for cube in cubes}
            assert await space.count() == 10
            assert (await space.search("number 7", 1))[0].cube.text == "number 7"
            assert "async" in await client.spaces()
            await space.set_timezone("Asia/Tokyo")
            assert await space.timezone() == "Asia/Tokyo"
            with pytest.raises(InvalidInput, match="no time zone"):
                await space.set_timezone("Tokyo")
            await space.set_policy(replace(await space.policy(), days=400))
            assert (await space.policy()).days == 400
            with pytest.raises(NotFound):
                await space.get("nope")

    asyncio.run(work())


def test_a_served_space_has_the_verbs_of_an_embedded_one():
    # what is about the process that holds the file, its RAM or its models
    elsewhere = {"flush", "close", "reindex", "doctor", "quarantined", "activate", "verify", "tune"}
    verbs = {name for name, value in vars(Space).items() if callable(value) and not name.startswith("_")}
    for remote in (RemoteSpace, AsyncRemoteSpace):
        assert verbs - elsewhere - set(dir(remote)) == set()
