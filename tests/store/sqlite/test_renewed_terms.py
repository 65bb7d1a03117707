"""A file that was written with other terms gets the present ones when it is opened, once, and a read-only one in a copy."""

import sqlite3

import pytest

from mnemos import Mnemos
from mnemos.index.terms import index_terms

OLD = {
    "hi": ("मेरा घर हिन्दी नगर में है", "म र घर ह न द नगर"),
    "de": ("Ich habe eine Krankenversicherung.", "ich habe ein krankenversicherung"),
    "en": ("I moved to Lisbon.", "i move to lisbon"),
    "bad": ("A text that is cut", "a text that is cut"),
}


@pytest.fixture
def root(tmp_path):
    """A file of the schema before the terms, with the terms of then, and a row whose text is no Unicode."""
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("ana").add_many([{"content": text, "id": key} for key, (text, _) in OLD.items()], reconcile=False)
    db = sqlite3.connect(tmp_path / "ana.mnemos")
    for key, (_, terms) in OLD.items():
        db.execute("UPDATE words SET terms = ? WHERE n = (SELECT n FROM cubes WHERE id = ?)", (terms, key))
    db.execute("UPDATE cubes SET text = CAST(x'ff41' AS TEXT) WHERE id = 'bad'")
    db.execute("DELETE FROM _sqlite_migrations WHERE name = '0006_terms'")
    db.execute("PRAGMA user_version = 5")
    db.commit()
    db.close()
    return tmp_path


def stored(root):
    db = sqlite3.connect(root / "ana.mnemos")
    found = dict(db.execute("SELECT id, terms FROM words JOIN cubes USING (n)").fetchall())
    db.close()
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("read_only", [False, True])
def test_old_terms_are_renewed(root, read_only):
    with Mnemos(root, embedder="none", read_only=read_only) as memory:
        space = memory.space("ana")
        assert space.search("हिंदी", method="words")[0].cube.id == "hi"
        assert space.search("Versicherung", method="words")[0].cube.id == "de"
        assert space.search("Lisbon", method="words")[0].cube.id == "en"
    now = stored(root)
    if read_only:
        assert now == {key: terms for key, (_, terms) in OLD.items()}, "the file itself is as it was"
    else:
        assert {key: now[key] for key in ("hi", "de", "en")} == {
            key: " ".join(index_terms(OLD[key][0])) for key in ("hi", "de", "en")
        }
        assert now["en"] == OLD["en"][1], "English has the terms that it had"


@pytest.mark.filterwarnings("ignore")
def test_they_are_renewed_all_or_none(root, monkeypatch):
    from mnemos.index import terms

    calls = []

    def fails(text):
        calls.append(text)
        if len(calls) == 2:
            raise MemoryError
        return index_terms(text)

    monkeypatch.setattr(terms, "index_terms", fails)
    with pytest.raises(MemoryError), Mnemos(root, embedder="none") as memory:
        memory.space("ana")
    assert stored(root) == {key: old for key, (_, old) in OLD.items()}
    monkeypatch.undo()
    with Mnemos(root, embedder="none") as memory:
        assert memory.space("ana").search("Versicherung", method="words")[0].cube.id == "de"
