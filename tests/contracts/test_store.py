"""What every store promises of cubes: versions, filters and transactions."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos.cube import MemCube, to_micros
from mnemos.errors import Conflict, NotFound, StoreBusy, StoreError
from mnemos.facts import Link
from mnemos.store.values import Changes, DateRow, Filter
from tests.contracts.stores import DAY, NOW, T0, cube, entry, newer, put

NAMES = itertools.count()


# -- versions


def test_every_field_of_a_cube_survives(store):
    full = cube(
        "a", "Olá \0 \u2028 𝒳", at=T0.replace(hour=23).astimezone(timezone(timedelta(hours=9))), kind="fact",
        session="s1", speaker="Ana", role="user", source="chat.json", parents=("p", "q"), valid_from=T0,
        valid_to=T0 + timedelta(days=9), strength=0.25, recalls=3, recalled_at=T0, metadata={"k": [1, None, {"x": True}]},
    )  # fmt: skip
    put(store, full)
    [found] = store.get(["a"]).values()
    assert found == full
    assert found.at.utcoffset() == timedelta(hours=9)
    assert MemCube.from_dict(found.to_dict()) == full


def test_a_batch_is_all_or_nothing(store):
    put(store, cube("a"))
    before, entries = store.changes(0, None), store.audit.entries()
    with pytest.raises(Conflict, match="Nothing of the batch"):
        put(store, cube("b"), cube("a"))
    assert store.get(["a", "b"]).keys() == {"a"}
    assert store.changes(0, None) == before
    assert store.audit.entries() == entries


def test_versions_follow_each_other_and_the_stale_writer_is_told(store):
    first = cube("a", "one")
    put(store, first)
    second = newer(first, "two")
    key = store.replace(entry(second), None)
    assert [(v.text, v.replaced) for v in store.versions("a")] == [("one", second.learned), ("two", None)]
    with pytest.raises(Conflict, match="updated or removed"):
        store.replace(entry(replace(second, text="late")), None)
    with pytest.raises(Conflict, match="updated or removed"):
        store.replace(entry(replace(cube("gone"), version=2)), None)
    assert [v.text for v in store.versions("a")] == ["one", "two"]
    assert store.versions("gone") == []
    assert (store.keys_of(["gone", "a"]), store.ids_of([99, key])) == ([key], ["a"])
    assert {n: c.text for n, c in store.by_key([1, key, 99]).items()} == {1: "one", key: "two"}


def test_row_keys_grow_and_are_never_used_again(store):
    [one] = put(store, cube("a"))
    store.erase(["a"])
    [two] = put(store, cube("b"))
    assert two > one
    assert [r.key for r in store.changes(0, None).rows] == [two]


def test_as_of_sees_the_version_believed_then(store):
    first = cube("a", "one", learned=T0 + timedelta(days=1))
    put(store, first)
    store.replace(entry(newer(first, "two", day=3)), None)
    rows = store.changes(0, None, closed=True).rows
    assert [(r.text, (r.learned - NOW) // DAY, r.replaced and (r.replaced - NOW) // DAY) for r in rows] == [
        ("one", 1, 3),
        ("two", 3, None),
    ]
    assert [c.text for _, c in store.select(Filter(as_of=NOW + 2 * DAY))] == ["one"]


def test_changes_tell_a_reader_what_to_add_and_what_to_drop(store):
    put(store, cube("a"), cube("b"), cube("c"))
    seen = store.changes(0, None)
    assert [r.key for r in seen.rows] == [1, 2, 3]
    assert store.changes(seen.seq, None) == replace(seen, rows=[], gone=[])
    store.replace(entry(newer(cube("a"), "new")), None)
    store.erase(["b"])
    store.lives.set_state(["c"], "active", "archived")
    later = store.changes(seen.seq, None)
    assert [(r.key, r.text) for r in later.rows] == [(4, "new")]
    assert sorted(later.gone) == [1, 2, 3]
    every = store.changes(seen.seq, None, closed=True)
    assert [(r.key, r.searched, r.archived) for r in every.rows] == [
        (1, False, False),
        (3, False, True),
        (4, True, False),
    ]
    assert every.gone == [2]


STEP = st.tuples(st.sampled_from(["add", "update", "erase", "archive", "restore"]), st.sampled_from("abcd"))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=12))
def test_a_reader_who_follows_the_changes_sees_what_a_new_one_sees(root, steps):
    store = root.open(f"s{next(NAMES)}")
    seen, rows = Changes(0, [], []), {}
    for number, (act, name) in enumerate(steps):
        current = store.get([name]).get(name)
        if act == "add" and current is None:
            put(store, cube(name, f"text {number}"))
        elif act == "update" and current is not None and current.state == "active":
            store.replace(entry(newer(current, f"text {number}", day=number)), None)
        elif act == "erase":
            store.erase([name])
        elif act in ("archive", "restore"):
            store.lives.set_state([name], *(("active", "archived") if act == "archive" else ("archived", "active")))
        seen = store.changes(seen.seq, None)
        rows = {n: r for n, r in rows.items() if n not in seen.gone} | {r.key: r for r in seen.rows}
    assert sorted(rows) == [r.key for r in store.changes(0, None).rows] == store.keys(Filter()).tolist()
    store.close()


def test_a_reader_misses_nothing_while_others_write(root, store):
    def work(number):
        mine = root.open("s")
        for i in range(20):
            put(mine, cube(f"{number}-{i}"))
        mine.close()

    writers = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    seen, keys = Changes(0, [], []), []
    while (writing := any(w.is_alive() for w in writers)) or len(keys) < 60:
        seen = store.changes(seen.seq, None)
        keys += [r.key for r in seen.rows]
        if not writing and not seen.rows:
            break
    assert keys == sorted(keys) == store.keys(Filter()).tolist()
    assert len(keys) == 60


# -- filters


def test_filters_agree_with_a_plain_scan(store):
    cubes = [
        cube(f"c{i}", f"text {i}", day=i, session=f"s{i % 3}", speaker=("Ana", None)[i % 2], role="user",
             kind=("turn", "fact")[i % 5 == 0], metadata={"n": i % 4, "s": str(i % 4), "b": i % 4 == 1, "none": None})
        for i in range(40)
    ]  # fmt: skip
    keys = put(store, *cubes)

    def check(expected, **fields):
        got = {cubes[keys.index(n)].id for n in store.keys(Filter(**fields))}
        assert got == {c.id for c in cubes if expected(c)}
        assert {c.id for _, c in store.select(Filter(**fields), limit=100)} == got
        assert store.matching(Filter(**fields), keys) == set(store.keys(Filter(**fields)).tolist())

    check(lambda c: True)
    check(lambda c: c.session == "s1" and c.speaker == "Ana", session="s1", speaker="Ana")
    check(lambda c: c.kind == "fact", kind="fact")
    check(lambda c: c.metadata["n"] == 1, where={"n": 1})
    check(lambda c: c.metadata["s"] == "1", where={"s": "1"})
    check(lambda c: c.metadata["b"] is True, where={"b": True})
    check(lambda c: True, where={"none": None})
    check(lambda c: False, where={"missing": None})
    check(lambda c: False, where={"n": 1.5})
    check(lambda c: False, session="' OR 1=1 --")
    since, until = T0 + timedelta(days=5), T0 + timedelta(days=9)
    check(lambda c: since <= c.at < until, since=to_micros(since), until=to_micros(until))


def test_pages_of_a_selection_follow_each_other(store):
    keys = put(store, *(cube(f"c{i}") for i in range(7)))
    pages = [store.select(Filter(), after=after, limit=3) for after in (0, keys[2], keys[5], keys[6])]
    assert [[n for n, _ in page] for page in pages] == [keys[:3], keys[3:6], keys[6:], []]


def test_a_date_that_a_text_mentions_counts_as_its_time(store):
    date = DateRow(NOW, NOW + DAY, "x", 0, 1, "day", True)
    [key] = store.insert([entry(cube("a", day=10), dates=(date,))], None)

    def found(since, until):
        return store.keys(Filter(since=NOW + since * DAY, until=NOW + until * DAY)).tolist()

    assert found(0, 1) == [key]
    assert found(10, 11) == [key]
    assert found(1, 10) == []
    assert store.dates([key, 99]) == {key: [date]}
    assert store.changes(0, None).rows[0].dates == ((NOW, NOW + DAY),)


def test_derived_and_superseded_cubes_are_left_out_unless_asked_for(store):
    keys = put(store, cube("a"), cube("sum", kind="summary"), cube("old", state="superseded"))
    assert store.keys(Filter()).tolist() == keys[:1]
    assert store.keys(Filter(derived=True)).tolist() == keys[:2]
    assert store.keys(Filter(superseded=True)).tolist() == [keys[0], keys[2]]
    assert store.keys(Filter(kind="summary")).tolist() == keys[1:2]
    assert store.keys(Filter(state=None)).tolist() == keys


# -- transactions


def test_a_transaction_is_all_or_nothing_and_takes_in_those_inside_it(store):
    def act():
        with store.transaction():
            put(store, cube("a"))
            with store.transaction():
                store.meta.set("k", "v")
                store.links.put([Link("a", "b", "similar")], NOW)
            assert store.get(["a"]).keys() == {"a"}, "a transaction sees what it has written"
            raise RuntimeError("stop")

    before = store.change_token()
    with pytest.raises(RuntimeError, match="stop"):
        act()
    assert (store.get(["a"]), store.meta.get("k"), store.links.find()) == ({}, "", [])
    assert store.changes(0, None).rows == []
    assert store.audit.entries() == []
    put(store, cube("b"))  # and the store goes on working
    assert store.change_token() != before


def test_an_inner_error_that_is_caught_leaves_the_transaction_to_the_outer_one(store):
    put(store, cube("a"))
    with store.transaction():
        put(store, cube("b"))
        with pytest.raises(NotFound):
            store.lives.pin("nobody", True)
    assert store.get(["a", "b"]).keys() == {"a", "b"}


def test_a_transaction_for_reading_sees_one_state_and_writes_nothing(root, store):
    put(store, cube("a"))
    other = root.open("s")
    with store.transaction(write=False):
        assert store.get(["a", "b"]).keys() == {"a"}
        put(other, cube("b"))
        assert store.get(["a", "b"]).keys() == {"a"}
        with pytest.raises(StoreError, match="reading"):
            put(store, cube("c"))
    assert store.get(["a", "b", "c"]).keys() == {"a", "b"}
    other.close()


def test_two_handles_see_each_other_and_their_change_tokens_tell(root, store):
    other = root.open("s")
    before = other.change_token()
    assert other.change_token() == before
    put(store, cube("a"))
    assert other.get(["a"]).keys() == {"a"}
    assert other.change_token() != before
    with other.transaction():
        assert other.change_token() is None, "what a transaction has written may be rolled back"
    [row] = other.changes(0, None).rows
    assert row.terms == ("hello",)
    other.close()
    assert other.closed
    assert not store.closed


def test_what_is_steady_in_a_block_is_current_before_and_after_it(root, store):
    other = root.open("s")
    store.meta.set("k", "old")
    with store.steady():
        assert store.meta.get("k") == "old"
        put(other, cube("a"))
        assert store.get(["a"]).keys() == {"a"}, "rows are read anew"
        store.meta.set("k", "mine")
        assert store.meta.get("k") == "mine", "a write of this thread ends it"
    other.meta.set("k", "new")
    with store.steady(), store.steady():
        before = store.change_token()
        assert store.meta.get("k") == "new"
    put(other, cube("b"))
    assert store.change_token() != before
    other.close()


def test_threads_share_one_store(store):
    def work(t):
        for i in range(25):
            put(store, cube(f"{t}-{i}"))

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.stats()["cubes"] == 100
    assert store.audit.verify() == (100, [])


def test_a_lock_is_tried_without_a_wait(root, store):
    other, told = root.open("s"), []
    with store.try_lock() as held:
        assert held
        worker = threading.Thread(target=lambda: [told.append(x) for x in [store.try_lock().__enter__()]])
        worker.start()
        worker.join()
        with other.transaction(), pytest.raises(StoreBusy):
            put(store, cube("a"))
    assert told == [False]
    assert store.get(["a"]) == {}
    put(store, cube("a"))
    other.close()


def test_a_closed_store_says_what_to_do(store):
    store.close()
    store.close()
    with pytest.raises(StoreError, match="Open the space again"):
        store.get(["a"])
