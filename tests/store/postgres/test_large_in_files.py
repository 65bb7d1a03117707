"""A large space of a database is searched by candidates from an index on this machine, as one in a folder is."""

from __future__ import annotations

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.location import DatabaseUrl
from mnemos.text.recall import large
from mnemos.text.recall.large import LargeSnapshot
from tests.text.recall.test_large import QUESTIONS, messages


@pytest.fixture
def url(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 1)
    return DatabaseUrl(f"{postgres_url}&index={tmp_path / 'index'}")


def opened(where):
    return Mnemos(where, embedder="hashing", timezone="UTC")


def found(space):
    return [[(hit.cube.id, round(hit.score, 4)) for hit in space.search(q, 10)] for q in QUESTIONS]


def held(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_it_finds_what_a_large_space_in_a_folder_finds(url, tmp_path):
    with opened(url) as memory, opened(tmp_path / "root") as folder:
        for root in (memory, folder):
            root.space("ana").add_many(messages(120))
        assert found(memory.space("ana")) == found(folder.space("ana"))
        assert isinstance(memory.space("ana").text.view.snapshot, LargeSnapshot)
        assert memory.space("ana").stats()["index"]["kind"] == "candidates"


def test_what_another_writes_is_found_and_what_it_erases_is_in_no_file(url, tmp_path):
    with opened(url) as memory, opened(url) as other:
        space = memory.space("ana")
        space.add_many(messages(60))
        found(space)
        secret = other.space("ana").add("The zygomorphic xylophone hides.", speaker="Zacharias", id="secret")
        assert space.search("Where does the xylophone hide?", 1)[0].cube.id == "secret"
        vector = np.asarray(space.text.embedder.embed([secret.text])[0], np.float16).tobytes()
        space.text.view.snapshot.save()
        assert vector in held(tmp_path / "index")
        other.space("ana").delete("secret")
        found(space)
        assert vector not in held(tmp_path / "index")


def test_an_index_goes_with_its_space_and_is_of_no_later_one_of_that_name(url, tmp_path):
    with opened(url) as memory:
        memory.space("ana").add_many(messages(40))
        found(memory.space("ana"))
        former = memory.space("ana").store.bulk.folder
        assert former.is_dir()
        memory.remove("ana")
        assert not former.exists()
        memory.space("ana").add("A heron stands in the garden.")
        assert [hit.cube.text for hit in memory.space("ana").search("garden heron", 3)] == [
            "A heron stands in the garden."
        ]
        assert memory.space("ana").store.bulk.folder != former


def test_a_restored_space_is_read_anew(url, tmp_path):
    with opened(url) as memory, opened(url) as other:
        memory.space("ana").add("A heron stands in the garden.")
        saved = memory.backup("ana", tmp_path)
        memory.space("ana").add("The violin is in Quito.")
        assert len(other.space("ana").search("violin heron", 5)) == 2
        memory.restore(saved, replace=True)
        assert [hit.cube.text for hit in memory.space("ana").search("violin heron", 5)] == [
            "A heron stands in the garden."
        ]


def test_without_a_folder_every_cube_is_read(postgres_url, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 1)
    with opened(postgres_url) as memory:
        memory.space("ana").add_many(messages(10))
        found(memory.space("ana"))
        about = memory.space("ana").stats()["index"]
        assert about["kind"] == "exact"
        assert "index=FOLDER" in about["why"]
