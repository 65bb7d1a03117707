"""What every store promises of erasure: nothing is left, what was ended holds again, and listeners hear of it."""

from __future__ import annotations

import contextlib
import os

import pytest

from mnemos.errors import InvalidInput
from mnemos.facts import Decision, Link
from mnemos.store.values import DateRow
from tests.contracts.stores import DAY, NOW, T0, cube, entry, fact, newer, put

SECRET = "xylophone-secret"
KV = "kv" * 8  # an id that may have a payload


def test_erasing_takes_versions_and_what_was_derived_and_leaves_nothing(store):
    model = store.vectors.model("m", "1", 2)
    date = DateRow(0, 1, SECRET, 0, 3, "day", True)
    first = cube("a", SECRET)
    [key, _] = store.insert([entry(first, [1, 0], (date,)), entry(cube("keep", "other"))], model)
    store.facts.put([fact("a", key, SECRET)])
    store.links.put([Link("a", "keep", "similar")], NOW)
    store.queue.add(["a"], "why")
    store.decisions.put([Decision("keep", T0, "UPDATE", "more detail", ("a",), "rules")])
    store.replace(entry(newer(first, SECRET + " again"), [0, 1]), model)
    store.insert([entry(cube("b", SECRET + " summary", parents=("a",)))], model)
    store.insert([entry(cube(KV, SECRET + " of summary", parents=("b",)))], model)
    store.blobs.write(KV, SECRET.encode())
    assert store.remains.places(SECRET) == {"cubes": 4, "words": 4, "facts": 1}
    assert sorted(store.family(["a", "unknown"])) == ["a", "b", KV]
    assert sorted(store.erase(["a", "unknown"])) == ["a", "b", KV]
    assert store.versions("a") == []
    assert store.stats()["versions"] == 1
    assert store.was_erased(["a", KV, "keep", "unknown"]) == {"a", KV}
    assert store.remains.orphans() == store.remains.traces(["a", "b", KV]) == 0
    assert not store.remains.mentions(SECRET)
    assert store.remains.places(SECRET) == {"cubes": 0, "words": 0, "facts": 0}
    read, found = store.remains.raw([SECRET.encode(), b"other"])
    assert read > 0
    assert {needle for _, needle in found} == {b"other"}, "the search finds what is there"
    assert store.blobs.ids() == set()
    assert store.decisions.find("keep")[0].others == ()
    assert store.erase(["a"]) == []


def test_what_an_erased_cube_had_ended_holds_again(store):
    [old] = put(store, cube("old", "I live in Porto."))
    [new] = put(store, cube("new", "I moved to Faro.", day=1))
    store.facts.put([fact("old", old, "Porto"), fact("new", new, "Faro")])
    [porto] = store.facts.of([old])
    store.facts.end(porto, NOW + DAY, NOW + DAY, "new")
    store.lives.supersede("old", NOW + DAY, NOW + DAY)
    assert store.get(["old"])["old"].state == "superseded"
    store.erase(["new"])
    again = store.get(["old"])["old"]
    assert (again.state, again.version, again.valid_to) == ("active", 1, None)
    [porto] = store.facts.find()
    assert (porto.fact.value, porto.until, porto.ended_by) == ("Porto", None, None)
    assert [r.text for r in store.changes(0, None).rows] == ["I live in Porto."]


def test_an_update_erases_what_was_computed_from_the_old_text(store):
    first = cube("a", "one")
    put(
        store,
        first,
        cube(KV, "", form="activation", kind="kv", parents=("a",)),
        cube("sum", kind="summary", parents=("a",)),
    )
    store.blobs.write(KV, b"tensor")
    store.replace(entry(newer(first, "two")), None)
    assert store.get(["a", KV, "sum"]).keys() == {"a", "sum"}
    assert store.blobs.ids() == set()


def test_a_payload_has_a_safe_name_or_none(store):
    assert store.blobs.write(KV, b"tensor") == store.blobs.nbytes == 6
    with pytest.raises(InvalidInput, match="cannot have a payload"):
        store.blobs.write("../a", b"tensor")
    store.blobs.drop(["../a", "nobody"])
    assert store.blobs.sweep({"other"}) == 0, "a new file may belong to a write that is going on"
    os.utime(store.blobs.path(KV), (0, 0))
    assert store.blobs.sweep({"other"}) == 1
    assert store.blobs.ids() == set()


def test_who_listens_hears_of_erasures_once_they_are_committed(root, store):
    heard, other = [], root.open("s")
    first = cube("a", "one")
    put(store, first, cube(KV, "", form="activation", kind="kv", parents=("a",)), cube("b"), cube("c"))
    stop = store.on_erase(lambda forms: heard.append((forms, store.change_token() is not None)))
    store.replace(entry(newer(first, "two")), None)
    assert heard == [({KV: "activation"}, True)]
    with store.transaction():
        store.erase(["b"])
        assert len(heard) == 1, "it may still be rolled back"
    assert heard[1:] == [({"b": "text"}, True)]
    with contextlib.suppress(RuntimeError), store.transaction():
        store.erase(["a"])
        raise RuntimeError
    store.erase(["unknown"])
    other.erase(["a"])
    assert len(heard) == 2, "nothing was erased, or by another handle"
    stop()
    store.erase(["c"])
    assert len(heard) == 2
    other.close()


def test_a_listener_may_use_the_store(store):
    put(store, cube("a"), cube("b"))
    store.on_erase(lambda forms: store.meta.set("erased", " ".join(forms)))
    store.erase(["a"])
    assert store.meta.get("erased") == "a"
