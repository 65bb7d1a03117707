"""What every store promises of what is stored beside cubes, and of a space seen from above."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from mnemos.errors import NotFound
from mnemos.facts import Decision, Link, Rejection
from mnemos.store.audit import acting
from mnemos.store.hashes import text_hash
from mnemos.store.values import DateRow, Filter
from tests.contracts.stores import DAY, NOW, T0, cube, entry, fact, newer, put


def test_vectors_belong_to_their_model(store):
    old, new = store.vectors.model("m", "1", 2), store.vectors.model("m", "2", 3)
    assert store.vectors.model("m", "1", 2) == old != new
    a, b = store.insert([entry(cube("a"), [1, 0]), entry(cube("b"), [0, 1])], old)
    assert [r.vector.tolist() for r in store.changes(0, old).rows] == [[1, 0], [0, 1]]
    assert [r.vector for r in store.changes(0, new).rows] == [None, None]
    assert {key: v.tolist() for key, v in store.vectors.of(old, [b, 99]).items()} == {b: [0, 1]}
    assert store.vectors.of(new, [a, b]) == {}
    store.vectors.put(old, [(b, np.array([[0, 1], [1, 0]], np.float16))])
    assert {key: v.tolist() for key, v in store.vectors.of(old, [b]).items()} == {b: [0, 1]}, "the whole, not its parts"
    assert store.vectors.missing(new, limit=9) == [(a, "hello"), (b, "hello")]
    assert store.vectors.missing(new, after=a, limit=9) == [(b, "hello")]
    seq = store.changes(0, None).seq
    store.vectors.put(new, [(a, np.ones(3, np.float16)), (99, np.ones(3, np.float16))])
    assert [r.key for r in store.changes(seq, new).rows] == [a], "a reader learns of it"
    assert store.vectors.missing(new, limit=9) == [(b, "hello")]
    assert store.vectors.drop_others(new) == 2
    assert [m["vectors"] for m in store.stats()["models"]] == [1]
    assert store.remains.orphans() == 0


def test_facts_are_found_by_what_they_are_about_and_when(store):
    [old] = put(store, cube("old"))
    [new] = put(store, cube("new", day=2))
    store.facts.put([
        fact("old", old, "Porto"), fact("old", old, "tea", 1, attribute="like"), fact("new", new, "Faro", since=NOW + 2 * DAY),
    ])  # fmt: skip

    def values(*about, **options):
        return [f.fact.value for f in store.facts.find(about or None, **options)]

    assert values() == ["Porto", "tea", "Faro"]
    assert sorted(values(("ana", "live in"), ("bo", "live in"))) == ["Faro", "Porto"]
    assert values(subject="ana") == ["Porto", "tea", "Faro"]
    assert values(subject="bo") == []
    store.facts.end(store.facts.of([old])[0], NOW + DAY, NOW + 2 * DAY, "new")
    assert values() == ["tea", "Faro"]
    assert values(ended=True) == ["Porto", "tea", "Faro"]
    assert values(as_of=NOW + DAY) == ["Porto", "tea"], "its end was learned later"
    [ended] = [f for f in store.facts.find(ended=True) if f.ended]
    assert (ended.cube, ended.key, ended.index, ended.until, ended.ended, ended.ended_by) == (
        "old", old, 0, NOW + DAY, NOW + 2 * DAY, "new",
    )  # fmt: skip
    store.facts.put([fact("old", old, "coffee", 1, attribute="like")])
    assert [f.fact.value for f in store.facts.of([old])] == ["Porto", "coffee"]
    store.lives.set_state(["new"], "active", "archived")
    assert values() == ["coffee"]
    assert (store.facts.active_version("old"), store.facts.active_version("new")) == (old, None)


def test_links_are_directed_weighted_and_kept_once(store):
    a, b, c = put(store, cube("a", session="s"), cube("b", day=1, session="s"), cube("c", day=2, parents=("a",)))
    store.links.put([Link("a", "b", "similar", 0.5), Link("b", "c", "supports")], NOW)
    store.links.put([Link("a", "b", "similar", 0.25)], NOW)
    store.links.add([Link("a", "b", "co-recalled", 2.0), Link("a", "b", "co-recalled", 1.0)], NOW)
    assert sorted((x.kind, x.weight) for x in store.links.find(["a"])) == [("co-recalled", 3.0), ("similar", 0.25)]
    assert store.links.find(["c"], both=False) == []
    assert store.links.find(["b"], kind="supports") == store.links.find(kind="supports") == [Link("b", "c", "supports")]
    assert store.links.keys("similar") == [(a, b, 0.25)]
    store.facts.put([fact("a", a, "Porto"), fact("c", c, "Faro")])
    assert {(x.a, x.b, x.kind) for x in store.links.implied("a")} == {
        ("c", "a", "derived from"), ("b", "a", "follows"), ("a", "c", "same entity"),
    }  # fmt: skip
    assert store.links.implied("nobody") == []


def test_lives_are_pinned_superseded_archived_and_counted(store):
    store.insert([entry(cube("a", "one"), [1, 0])], store.vectors.model("m", "1", 2))
    put(store, cube("b", "two", day=1), cube("sum", kind="summary"))
    store.lives.pin("a", True)
    with pytest.raises(NotFound):
        store.lives.pin("nobody", True)
    store.lives.set_strength([(2.5, 1, 3, NOW + DAY, "b")])
    assert store.lives.set_state(["a", "b", "nobody"], "archived", "active") == []
    assert store.lives.set_state(["b"], "active", "archived") == ["b"]
    rows = store.lives.candidates(["active", "archived"])
    found = {
        int(rows.keys[i]): [
            x[i].item() for x in (rows.pinned, rows.archived, rows.recalls, rows.strength, rows.size, rows.tier)
        ]
        for i in range(len(rows.keys))
    }
    assert found == {1: [True, False, 0, 1.0, 3, 0], 2: [False, True, 3, 2.5, 3, 1]}
    assert rows.learned.tolist() == [NOW, NOW + DAY]
    assert rows.recalled.tolist() == [NOW, NOW + DAY]
    assert len(store.lives.candidates(["active"]).keys) == 1
    assert len(store.lives.candidates(["active"], derived=True).keys) == 2
    assert store.lives.candidates(["archived"], recalls=4).keys.tolist() == []
    assert store.lives.candidates(["archived"], recalls=3, below_tier=2).keys.tolist() == [2]
    store.lives.set_tier([(2, 2)])
    assert store.lives.candidates(["archived"], below_tier=2).keys.tolist() == []
    store.lives.count_uses([("b", 4, NOW + 2 * DAY)])
    b = store.get(["b"])["b"]
    assert (b.recalls, b.recalled_at, b.layer, b.pinned) == (7, T0 + timedelta(days=2), 2, False)


def test_a_superseded_version_keeps_what_stands_beside_it(store):
    date = DateRow(NOW, NOW + DAY, "x", 0, 1, "day", False)
    model = store.vectors.model("m", "1", 2)
    [key] = store.insert([entry(cube("a"), [1, 0], (date,))], model)
    store.facts.put([fact("a", key, "Porto")])
    store.lives.supersede("a", NOW + DAY, NOW + 2 * DAY)
    one, two = store.versions("a")
    assert (one.state, one.replaced, two.state, two.version, two.valid_to) == (
        "active", T0 + timedelta(days=2), "superseded", 2, T0 + timedelta(days=1),
    )  # fmt: skip
    [row] = store.changes(0, model).rows
    assert (row.terms, row.vector.tolist(), row.dates, row.superseded) == (
        ("hello",),
        [1, 0],
        ((NOW, NOW + DAY),),
        True,
    )
    assert [f.fact.value for f in store.facts.of(store.keys_of(["a"]))] == ["Porto"]


def test_derived_cubes_are_known_by_what_they_are_of(store):
    about = {"of": "session:s1", "from": "f1", "level": "session"}
    a, b = put(store, cube("a", session="s1", day=1), cube("b", session="s1"))
    [key] = put(store, cube("sum", kind="summary", source="mnemos", parents=("a", "b"), metadata=about))
    assert [(m.key, m.id, m.version, m.session, m.when) for m in store.derived.members()] == [
        (b, "b", 1, "s1", T0), (a, "a", 1, "s1", T0 + timedelta(days=1)),
    ]  # fmt: skip
    [made] = store.derived.existing().items()
    assert made[0] == "session:s1"
    assert (made[1].id, made[1].key, made[1].fingerprint, made[1].level) == ("sum", key, "f1", "session")
    store.derived.replace_parents({"sum": ["b"]})
    assert store.get(["sum"])["sum"].parents == ("b",)
    assert store.derived.parentless() == []
    store.derived.replace_parents({"sum": ["never stored"]})
    assert store.derived.parentless() == ["sum"]


def test_the_same_words_are_found_by_the_hash_of_their_text(store):
    a, _, b = put(store, cube("a", "I like tea.", session="s"), cube("o", "other"), cube("b", "i like TEA", day=1))
    wanted = text_hash("  i LIKE tea ")
    assert wanted == text_hash("I like tea.")
    assert store.same_words([wanted, 1], Filter()) == [a, b]
    assert store.same_words([wanted], Filter(session="s")) == [a]
    assert store.same_words([], Filter()) == []
    store.lives.set_state(["a"], "active", "archived")
    assert store.same_words([wanted], Filter()) == [b]
    assert store.same_words([wanted], Filter(state=None)) == [a, b]


def test_the_queue_serves_the_least_tried_first(store):
    store.queue.add(["a", "b"], "new")
    store.queue.fail("a", "model failed")
    store.queue.fail("c", "model failed")
    assert store.queue.pending() == [("b", 0, "new"), ("a", 1, "new"), ("c", 1, "model failed")]
    assert store.queue.pending(1) == [("b", 0, "new")]
    store.queue.settle(["b"], failed=True)
    store.queue.settle(["a"])
    assert store.queue.pending() == [("b", 1, "new"), ("c", 1, "model failed")]
    store.queue.add(["b"], "again")
    assert store.queue.pending()[0] == ("b", 0, "again")


def test_decisions_and_rejections_are_kept(store):
    made = [Decision(f"c{i}", T0 + timedelta(days=i), "SUPERSEDE", "newer", ("x",), "rules") for i in range(3)]
    store.decisions.put(made)
    assert store.decisions.find() == made
    assert store.decisions.find(limit=2) == made[1:]
    assert store.decisions.find("c1") == made[1:2]
    one, two = Rejection("00ff", "11", 0), Rejection("00ff", "11", 1)
    store.rejections.add([one], NOW)
    store.rejections.add([one, two], NOW + 1)
    assert store.rejections.all() == {one, two}


def test_the_audit_log_says_who_did_what_without_ids_and_is_chained(root, store):
    put(store, cube("a"), cube("b"))
    with acting("carla"):
        store.lives.pin("a", True)
    store.lives.pin("a", False)
    store.lives.set_state(["b"], "active", "archived")
    store.lives.set_state(["b"], "archived", "active")
    store.erase(["a"])
    entries = store.audit.entries()
    assert [(e.index, e.actor, e.action, e.cubes) for e in entries] == [
        (1, "tester", "add", 2), (2, "carla", "pin", 1), (3, "tester", "unpin", 1), (4, "tester", "archive", 1),
        (5, "tester", "restore", 1), (6, "tester", "erase", 1),
    ]  # fmt: skip
    assert entries[1].digest == entries[5].digest != entries[3].digest
    assert store.audit.entries(after=4, limit=1) == entries[4:5]
    assert store.audit.verify() == store.audit.verify(entries[2].chain) == (6, [])
    assert "not in the log" in store.audit.verify("00")[1][0]
    other = root.open("s")
    put(other, cube("c"))
    assert store.audit.verify() == (7, [])
    other.close()


def test_meta_keeps_values_by_name(store):
    assert (store.meta.get("k"), store.meta.get("k", "default")) == ("", "default")
    store.meta.set("k", "v")
    store.meta.set("k", "w")
    assert store.meta.get("k") == "w"


def test_a_space_is_counted_and_measured(store):
    model = store.vectors.model("m", "1", 2)
    store.insert([entry(cube("a", "água", session="s", speaker="Ana"), [1, 0]), entry(cube("b", "tea", day=3))], model)
    put(store, cube("sum", "of both", kind="summary"))
    store.replace(entry(newer(cube("b", "tea", day=3), "coffee", day=4)), model)
    stats = store.stats()
    counts = {"cubes": 2, "derived": 1, "versions": 4, "sessions": 1, "speakers": 1, "archived": 0}
    assert counts.items() <= stats.items()
    assert (stats["first_at"], stats["last_at"]) == (NOW, NOW + 3 * DAY)
    sizes = store.inspect.sizes()
    assert sizes.forms == [("text", "summary", 1, 7), ("text", "turn", 2, 11)]
    assert (sizes.versions, sizes.vectors) == (3, 4)
    assert sizes.file > 0
    assert store.inspect.days(Filter(), None, None).counts == [(NOW // DAY, 1), (NOW // DAY + 3, 1)]
    assert store.inspect.days(Filter(), NOW + 1, None).first == NOW + 3 * DAY
    newest = store.inspect.newest(Filter(), None, 1)
    assert [c.text for _, c in newest] == ["coffee"]
    assert [c.text for _, c in store.inspect.newest(Filter(), newest[0][0], 9)] == ["água"]


def test_neighbours_are_stored_and_implied_links(store):
    put(store, *(cube(f"c{i}", day=i, session="s") for i in range(4)), cube("d", parents=("c0",)))
    store.links.put(
        [Link("c0", "c2", "similar", 0.5), Link("c3", "c0", "supports", 0.9), Link("c1", "c2", "similar", 0.1)], NOW
    )
    found = store.inspect.neighbours("c0", 9)
    assert [(x.a, x.b, x.kind) for x in found] == [
        ("c3", "c0", "supports"), ("c0", "c2", "similar"), ("d", "c0", "derived from"), ("c1", "c0", "follows"),
    ]  # fmt: skip
    assert [x.kind for x in store.inspect.neighbours("c0", 9, "follows")] == ["follows"]
    assert store.inspect.most_linked(2) == ["c0", "c2"]
    assert store.inspect.links_among(["c0", "c1", "c2"]) == [
        Link("c0", "c2", "similar", 0.5),
        Link("c1", "c2", "similar", 0.1),
    ]


def test_what_is_damaged_is_seen_and_can_be_written_again(store):
    model = store.vectors.model("m", "1", 2)
    date = DateRow(NOW, NOW + DAY, "x", 0, 1, "day", False)
    a, b = store.insert([entry(cube("a"), [1, 0], (date,)), entry(cube("b"))], model)
    assert store.checks.integrity() == []
    rows = store.checks.scan(model, after=0, limit=9)
    assert [(r.key, r.cube.id, r.terms, r.dates) for r in rows] == [(a, "a", "hello", (date,)), (b, "b", "hello", ())]
    assert (np.frombuffer(rows[0].vector, "<f2").tolist(), rows[1].vector) == ([1, 0], None)
    seq = store.changes(0, None).seq
    store.checks.repair([(b, ("other", "words"), [date])], [a])
    later = store.changes(seq, model)
    assert [(r.key, r.terms, r.vector) for r in later.rows] == [(a, ("hello",), None), (b, ("other", "words"), None)]
    assert store.dates([b]) == {b: [date]}
    assert store.checks.remove_orphans() == 0
