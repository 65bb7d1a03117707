"""A restored file brings its memories and nothing that works on: no triggers, views, foreign tables, or trust."""

import sqlite3

import pytest

from mnemos import Mnemos, Policy
from mnemos.errors import InvalidInput, MnemosError


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


@pytest.fixture
def backup(memory, tmp_path):
    memory.space("ana").add("I live in Porto.", id="x")
    return memory.backup("ana", tmp_path / "b")


def tamper(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


REWRITE = "CREATE TRIGGER {} AFTER INSERT ON cubes BEGIN UPDATE cubes SET text = 'Mallory' WHERE n = new.n; END"
FOREIGN = {
    "trigger": (REWRITE.format("evil"),),
    "trigger 'with \"\"quotes'": (REWRITE.format('"with ""quotes"'),),
    "trigger 'audit_no_delete'": ("DROP TRIGGER audit_no_delete", REWRITE.format("audit_no_delete")),
    "view": ("CREATE VIEW seen AS SELECT * FROM cubes",),
    "table": ("CREATE TABLE extra (a)",),
    "index": ("CREATE INDEX extra ON cubes (text)",),
    "index 'cubes_at'": ("DROP INDEX cubes_at", "CREATE INDEX cubes_at ON cubes (abs(at))"),
    "all": (REWRITE.format("a"), "CREATE VIEW b AS SELECT 1", "CREATE TABLE c (d)",
            "CREATE TRIGGER e INSTEAD OF INSERT ON b BEGIN DELETE FROM c; END"),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_ours_is_left_out_and_said(memory, backup, what):
    tamper(backup, *FOREIGN[what])
    with pytest.warns(UserWarning, match="was left out"):
        copy = memory.restore(backup, name="copy")
    copy.add("I work at Acme.", id="y")
    assert [c.text for c in copy.cubes()] == ["I live in Porto.", "I work at Acme."]
    assert copy.doctor().healthy
    fresh, restored = (
        sqlite3.connect(memory.root / f"{name}.mnemos").execute("SELECT type, name FROM sqlite_master").fetchall()
        for name in ("ana", "copy")
    )
    assert set(restored) == set(fresh)


def test_the_audit_log_still_cannot_be_changed_after_a_restore(memory, backup):
    tamper(backup, "DROP TRIGGER audit_no_delete")
    copy = memory.restore(backup, name="copy")
    copy.forget(["x"])
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        sqlite3.connect(memory.root / "copy.mnemos").execute("DELETE FROM audit")


def test_a_table_of_ours_that_is_defined_otherwise_is_refused(memory, backup):
    tamper(backup, "DROP TABLE lessons", "CREATE TABLE lessons (trigger, mistaken AS (trigger), trust, made)")
    with pytest.raises(InvalidInput, match="lessons"):
        memory.restore(backup, name="copy")
    assert memory.spaces() == ["ana"]


def test_whom_a_file_trusts_is_told_and_taken_only_when_asked(memory, tmp_path):
    ana = memory.space("ana")
    ana.trust, ana.secrets = {"https://evil.example/*": 2}, "keep"
    path = memory.backup("ana", tmp_path / "b")
    with pytest.warns(UserWarning, match="trust.*evil") as told:
        copy = memory.restore(path, name="copy")
    assert any("secrets = keep" in str(w.message) for w in told)
    assert (copy.trust, copy.secrets) == ({}, "redact")
    asked = memory.restore(path, name="asked", settings=True)
    assert (asked.trust, asked.secrets) == ({"https://evil.example/*": 2}, "keep")


def test_a_space_that_is_replaced_keeps_its_own_trust_and_is_not_warned_of_it(memory, tmp_path, recwarn):
    ana = memory.space("ana")
    ana.trust = {"https://mine.example/*": 2}
    path = memory.backup("ana", tmp_path / "b")
    assert memory.restore(path, replace=True).trust == {"https://mine.example/*": 2}
    assert recwarn.list == []
    memory.space("ana").trust = {"https://other.example/*": 0}
    with pytest.warns(UserWarning, match="mine"):
        assert memory.restore(path, replace=True).trust == {"https://other.example/*": 0}


def test_a_policy_is_taken_and_told(memory, tmp_path):
    memory.space("ana").policy = Policy(cubes=10)
    path = memory.backup("ana", tmp_path / "b")
    with pytest.warns(UserWarning, match="policy"):
        assert memory.restore(path, name="copy").policy == memory.space("ana").policy


def test_a_schema_that_cannot_be_read_is_refused(memory, backup):
    db = sqlite3.connect(backup)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_master SET sql = 'CREATE nonsense' WHERE name = 'cubes_at'")
    db.commit()
    db.close()
    with pytest.raises(MnemosError):
        memory.restore(backup, name="copy")
    assert memory.spaces() == ["ana"]


def test_a_table_that_was_rebuilt_under_its_name_is_ours(memory, backup, recwarn):
    tamper(backup, "ALTER TABLE lessons RENAME TO other", "ALTER TABLE other RENAME TO lessons")
    assert [c.text for c in memory.restore(backup, name="copy").cubes()] == ["I live in Porto."]
    assert recwarn.list == []
