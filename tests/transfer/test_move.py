"""A root is moved to a database and back: everything, compared, whatever interrupts it; nothing else is overwritten."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemos import Mnemos
from mnemos.cube import new_id
from mnemos.errors import Conflict, StoreBusy, StoreError
from mnemos.facts import Link
from mnemos.location import DatabaseUrl, locate
from mnemos.serve.keys import KeyStore
from mnemos.store import copying, records
from mnemos.store.open import open_chats, open_root, secret_of
from mnemos.store.server import ChatRow
from mnemos.transfer.move import move, move_server

T0 = datetime(2026, 3, 1, tzinfo=UTC)


class Stop(Exception):
    """Ends a move in the middle."""


@pytest.fixture
def database(postgres_url, tmp_path):
    return DatabaseUrl(f"{postgres_url}&blobs={tmp_path / 'blobs'}")


@pytest.fixture
def folder(tmp_path, clock):
    """A root with all that a space can hold."""
    with Mnemos(tmp_path / "from", embedder="hashing", clock=clock, actor="ana") as memory:
        ana = memory.space("ana")
        ana.add("I live in Porto and my sister Rita is a plumber.", speaker="Ana", metadata={"n": [1, {"ü": None}]})
        ana.add("I moved to Faro in May.", speaker="Ana", session="s2", timezone="Europe/Lisbon")
        changed = ana.add("The code is 17\0\x01.", speaker="Ben", source="mail:x@y.z")
        ana.update(changed.id, content="The code is 18.")
        ana.forget([ana.add("Forget me.").id])
        ana.store.links.put([Link(ana.cubes().items[0].id, changed.id, "co-recalled", 0.5)], 7)
        ana.pin(changed.id)
        ana.archive([ana.add("Old hat.").id])
        ana.consolidate()
        ana.trust = {"mail:x@y.z": 2}
        ana.search("Where does Ana live?")
        ana.store.blobs.write(new_id(), b"keys and values" * 1000)
        for n in range(30):
            memory.space("b/ö").add(f"Note {n}.", reconcile=False)
        memory.space("empty")
    return tmp_path / "from"


def opened(where):
    return closing(open_root(locate(where), "test", lambda: T0))


def moved(source, target, step=lambda what, rows: None):
    """Move a root; return what was done to each space."""
    with opened(source) as old, opened(target) as new:
        return {m.space: m.done for m in move(old, new, step)}


def content(where):
    """Return the digests of everything in a root."""
    with opened(where) as root:
        found = {}
        for name in [space.name for space in root.inventory()]:
            with closing(root.open(name)) as store:
                found[name] = copying.digests_of(store)
        return found


def test_a_root_goes_to_a_database_and_comes_back_equal(folder, database, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BATCH", 3)
    before = content(folder)
    full = [table for table, (rows, _) in before["ana"].items() if rows]
    assert set(records.TABLES) - {t for t in records.TABLES if t.name in full} <= {
        t for t in records.TABLES if t.name in ("pending", "lessons", "set_aside", "readings")
    }, "the space has rows in nearly all tables"
    assert set(moved(folder, database).values()) == {"copied"}
    assert content(database) == before
    assert set(moved(database, tmp_path / "back").values()) == {"copied"}
    assert content(tmp_path / "back") == before == content(folder)
    assert set(moved(folder, database).values()) == {"there already"}
    with Mnemos(database, embedder="hashing") as memory:
        ana = memory.space("ana")
        assert ana.search("Where does Ana live?")[0].cube.text == "I moved to Faro in May."
        assert ana.doctor().healthy
        assert ana.verify_audit()[1] == []
        later = ana.add("A later one.", speaker="Ana")
        assert ana.get(later.id).text == "A later one."


def test_a_move_that_was_killed_goes_on_and_shows_nothing_unfinished(folder, database, monkeypatch):
    monkeypatch.setattr(records, "BATCH", 2)
    copied, runs = [], 0

    def step(what, rows):
        if what.startswith("copying ana"):
            copied.append(rows)
            if len(copied) % 9 == 0 and runs < 6:
                raise Stop

    while True:
        runs += 1
        try:
            moved(folder, database, step)
        except Stop:
            with opened(database) as root:
                assert not root.exists("ana")
                assert "ana" not in [space.name for space in root.inventory()]
                with pytest.raises(StoreBusy, match="mnemos move"):
                    root.open("ana")
        else:
            break
    assert runs == 6
    with opened(folder) as root, closing(root.open("ana")) as store:
        rows = sum(count for count, _ in copying.digests_of(store).values())
    assert sum(copied) <= 3 * rows, "it went on where it was, and compared at the end"
    assert content(database) == content(folder)


def test_what_changed_since_is_copied_anew_and_what_others_wrote_is_never_overwritten(folder, database, monkeypatch):
    monkeypatch.setattr(records, "BATCH", 2)
    calls = []

    def stop(what, rows):
        calls.append(what)
        if calls.count("copying ana") == 5:
            raise Stop

    with pytest.raises(Stop):
        moved(folder, database, stop)
    with Mnemos(folder, embedder="hashing") as memory:
        memory.space("ana").add("Told in between.")
    assert moved(folder, database)["ana"] == "copied"
    assert content(database) == content(folder)
    with Mnemos(folder, embedder="hashing") as memory:
        memory.space("ana").add("Told after the move.")
    assert moved(folder, database) == {"ana": "copied again", "b/ö": "there already", "empty": "there already"}
    assert content(database) == content(folder)
    with Mnemos(database, embedder="hashing") as memory:
        memory.space("empty").add("Written in the new place.")
    before = content(database)
    with pytest.raises(Conflict, match="'empty' exists in the target with another content"):
        moved(folder, database)
    assert content(database) == before


def test_keys_and_conversations_of_servers_come_along(tmp_path, database):
    root = tmp_path / "from"
    with closing(KeyStore.under(root)) as keys, closing(open_chats(root)) as chats:
        token = keys.first()
        chats.put([ChatRow("k", "r", 5.0, True)], 0.0)
    secret = secret_of(root)
    assert move_server(root, database) == 1
    assert move_server(root, database) == 0
    assert secret_of(database) == secret
    with closing(KeyStore.under(database)) as keys, closing(open_chats(database)) as chats:
        assert keys.find(token) is not None
        assert chats.all() == [ChatRow("k", "r", 5.0, True)]


SLOW = """
import sys, time
from mnemos.store import records
from mnemos.store.copying import Mark
records.BATCH = 2
write = Mark.write
def slow(self, store):
    write(self, store)
    print("batch", flush=True)
Mark.write = slow
from mnemos.cli import main
main()
"""


def test_the_command_survives_sigkill_and_hides_the_password(folder, postgres_server, postgres_url, tmp_path):
    name = postgres_url.partition("@/")[2].partition("?")[0]
    url = f"{postgres_server.url(name, tcp=True)}?blobs={tmp_path / 'blobs'}"
    command = [sys.executable, "-c", SLOW, "move", str(folder), url, "--json"]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(12):
        assert first.stdout.readline() == "batch\n"
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads("".join(line for line in again.stdout.splitlines() if line != "batch"))
    assert [space["done"] for space in said["spaces"]] == ["copied"] * 3
    assert postgres_server.password not in again.stdout + again.stderr
    assert "…" in said["to"]
    assert content(url) == content(folder)


def test_a_source_that_is_not_there_is_told(database, tmp_path):
    with (
        pytest.raises(StoreError, match="no folder"),
        closing(open_root(Path(tmp_path / "nowhere"), "test", lambda: T0, read_only=True)),
    ):
        pass
