"""Payloads beside a space: what a crash left behind is removed, what another process is writing is not."""

import os
import time

import pytest

from mnemos.cube import new_id
from mnemos.errors import StoreFull
from mnemos.store import blobs as module
from mnemos.store.blobs import ABANDONED, FileBlobs


@pytest.fixture
def blobs(tmp_path):
    return FileBlobs(tmp_path / "ana.kv")


def age(path):
    os.utime(path, (time.time() - ABANDONED - 60,) * 2)


def test_what_another_process_is_writing_stays(blobs):
    known, new, part = new_id(), new_id(), new_id()
    for name in (known, new):
        blobs.write(name, b"payload")
    writing = blobs.path(part).with_suffix(".4711.part")
    writing.write_bytes(b"half a pay")
    assert blobs.sweep({known}) == 0
    assert blobs.ids() == {known, new}
    assert writing.exists()


def test_what_a_crash_left_behind_is_removed_after_an_hour(blobs):
    known, orphan = new_id(), new_id()
    for name in (known, orphan):
        blobs.write(name, b"payload")
        age(blobs.path(name))
    part = blobs.path(orphan).with_suffix(".4711.part")
    part.write_bytes(b"half")
    age(part)
    assert blobs.sweep({known}) == 2
    assert blobs.ids() == {known}
    assert not part.exists()


def test_removing_a_space_removes_new_files_too(blobs):
    blobs.write(new_id(), b"payload")
    blobs.remove()
    assert not blobs.folder.exists()


def test_a_payload_that_finds_no_room_leaves_no_part(blobs, monkeypatch):
    def no_room(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", no_room)
    with pytest.raises(StoreFull):
        blobs.write(new_id(), b"payload")
    assert list(blobs.folder.iterdir()) == []
