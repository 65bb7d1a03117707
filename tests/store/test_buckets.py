"""Payloads elsewhere than beside a space: whole or not there, gone when erased, and a missing one is named."""

import os
import time
from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.cube import MemCube, new_id
from mnemos.errors import InvalidInput, MnemosError, StoreCorrupt, StoreError
from mnemos.store.blobs import ABANDONED, FileBlobs
from mnemos.store.buckets import BucketBlobs, open_blobs
from mnemos.store.values import Entry

pytest.importorskip("fsspec", reason="the extra buckets is not installed")


@pytest.fixture(params=["folder", "local", "memory"])
def place(request, tmp_path):
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    return f"local://{tmp_path}/payloads" if request.param == "local" else str(tmp_path)


def read(blobs, name):
    with blobs.local(name) as path:
        return path.read_bytes()


def test_what_is_written_is_read_and_what_is_dropped_is_gone(place):
    blobs, other, one, two = open_blobs(place, "ana"), open_blobs(place, "Ana"), new_id(), new_id()
    assert blobs.ids() == set()
    assert blobs.nbytes == 0
    blobs.write(one, b"first")
    assert blobs.write(one, b"again") == 5
    blobs.write(two, bytes(1000))
    assert read(open_blobs(place, "ana"), one) == b"again"
    assert (blobs.ids(), blobs.nbytes, other.ids()) == ({one, two}, 1005, set())
    blobs.drop([one, new_id(), "../../etc"])
    assert blobs.ids() == {two}
    with pytest.raises(StoreCorrupt, match=rf"payload of cube {one} is missing.*another folder or bucket"):
        read(blobs, one)
    blobs.remove()
    assert blobs.ids() == set()
    blobs.remove()


def test_a_name_that_leads_out_of_the_folder_is_refused(place):
    for name in ("../ana", "a/b", "", "A" * 16):
        with pytest.raises(InvalidInput, match="cannot have a payload"):
            open_blobs(place, "ana").write(name, b"x")


def test_an_upload_that_breaks_leaves_the_old_payload_and_no_part(tmp_path, monkeypatch):
    blobs, name = open_blobs(f"memory://{tmp_path.name}", "ana"), new_id()
    blobs.write(name, b"old")

    def broken(*arguments, **options):
        raise TimeoutError("the bucket does not answer")

    monkeypatch.setattr(blobs._system, "mv", broken)
    with pytest.raises(StoreError, match=r"memory://.*cannot be written \(TimeoutError: the bucket does not answer"):
        blobs.write(name, b"new")
    monkeypatch.undo()
    assert read(blobs, name) == b"old"
    assert len(blobs._files()) == 1


def test_a_place_that_does_not_answer_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    blobs, name = open_blobs(f"memory://{tmp_path.name}", "ana"), new_id()

    def broken(*arguments, **options):
        raise ConnectionError("no route")

    for call in ("get_file", "ls", "rm_file"):
        monkeypatch.setattr(blobs._system, call, broken)
    for action in (lambda: read(blobs, name), blobs.ids, lambda: blobs.drop([name]), lambda: blobs.sweep(set())):
        with pytest.raises(StoreError, match="no route") as raised:
            action()
        assert not isinstance(raised.value, StoreCorrupt)


def test_orphans_are_removed_after_an_hour(tmp_path):
    blobs = open_blobs(f"local://{tmp_path}", "ana")
    known, orphan, new = new_id(), new_id(), new_id()
    for name in (known, orphan, new):
        blobs.write(name, b"payload")
    old = (time.time() - ABANDONED - 60,) * 2
    for name in (known, orphan):
        os.utime(tmp_path / "ana.kv" / f"{name}.safetensors", old)
    part = tmp_path / "ana.kv" / f"{orphan}.safetensors.00.part"
    part.write_bytes(b"half")
    os.utime(part, old)
    assert blobs.ids() == {known, orphan, new}
    assert blobs.sweep({known}) == 2
    assert blobs.ids() == {known, new}


def test_places_of_no_kind_are_named(tmp_path, monkeypatch):
    with pytest.raises(InvalidInput, match="nosuch://x is no place"):
        open_blobs("nosuch://x", "ana")
    assert isinstance(open_blobs(f"file://{tmp_path}", "ana"), FileBlobs)
    assert isinstance(open_blobs("memory://x", "ana"), BucketBlobs)
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(MnemosError, match=r"mnemos-os\[buckets\]"):
        open_blobs("memory://x", "ana")
    assert isinstance(open_blobs(str(tmp_path), "ana"), FileBlobs), "folders do without it"


def test_erasing_a_cube_a_space_and_what_was_derived_removes_payloads(place, tmp_path):
    now = datetime(2024, 1, 1, tzinfo=UTC)
    with Mnemos(tmp_path / "root", embedder="none", blobs=place, clock=lambda: now) as memory:
        space = memory.space("ana")
        cube = space.add("Rita lives in Porto.")
        name = new_id()
        space.store.blobs.write(name, b"keys and values")
        kv = MemCube(
            id=name, text="", space="ana", at=now, learned=now, form="activation", kind="kv", source="mnemos",
            parents=(cube.id,),
        )  # fmt: skip
        space.store.insert([Entry(kv, ())], None)
        assert open_blobs(place, "ana").ids() == {name}
        space.delete(cube.id)
        assert open_blobs(place, "ana").ids() == set()
        space.store.blobs.write(name, b"keys and values")
        memory.remove("ana")
        assert open_blobs(place, "ana").ids() == set()
