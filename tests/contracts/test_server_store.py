"""What every store of API keys and of answers promises."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mnemos.errors import StoreError
from mnemos.store.open import open_answers, open_keys
from mnemos.store.server import KeyRow

KEYS = {"sqlite": lambda folder: open_keys(folder / "serve" / "keys.sqlite")}  # name -> what opens keys in a folder
ANSWERS = {"sqlite": lambda folder: open_answers(folder / "serve" / "answers.sqlite")}
ONE = KeyRow("one", "first", b"salt", b"hash", ("ana", "b*"), ("read", "write"), 10, 99)


@pytest.fixture(params=KEYS)
def open_them(request, tmp_path):
    opened = []

    def open_again():
        opened.append(KEYS[request.param](tmp_path))
        return opened[-1]

    yield open_again
    for keys in opened:
        keys.close()


def test_keys_survive_and_other_handles_see_them_and_their_change(open_them):
    keys, other = open_them(), open_them()
    before = other.change_token()
    assert other.change_token() == before
    assert keys.add(ONE)
    assert other.change_token() != before
    assert other.find("one") == ONE
    assert other.find("two") is None
    keys.add(replace(ONE, id="zero", made=5, expires=None))
    assert [row.id for row in other.all()] == ["zero", "one"]


def test_a_first_key_is_stored_once(open_them):
    found, handles = [], [open_them() for _ in range(4)]
    threads = [
        threading.Thread(target=lambda h=h, i=i: found.append(h.add(replace(ONE, id=str(i)), only_first=True)))
        for i, h in enumerate(handles)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, False, False, True]
    assert len(handles[0].all()) == 1


def test_a_key_is_revoked_once_and_for_all(open_them):
    keys = open_them()
    keys.add(ONE)
    assert keys.revoke("one", 50) == replace(ONE, revoked=50)
    assert keys.revoke("one", 60).revoked == 50
    assert keys.revoke("two", 60) is None
    keys.close()
    with pytest.raises(StoreError):
        keys.find("one")


@pytest.fixture(params=ANSWERS)
def answers(request, tmp_path):
    answers = ANSWERS[request.param](tmp_path)
    yield answers
    answers.close()


def test_a_name_is_reserved_once_until_it_is_freed_or_too_old(answers):
    assert answers.reserve(b"a", b"body", 100.0, 50.0) is None
    assert answers.reserve(b"a", b"other", 101.0, 50.0) == (b"body", None)
    answers.finish(b"a", "[1]")
    assert answers.reserve(b"a", b"body", 102.0, 50.0) == (b"body", "[1]")
    answers.finish(b"a", None)
    assert answers.reserve(b"a", b"body", 103.0, 50.0) is None
    assert answers.reserve(b"b", b"body", 200.0, 103.5) is None
    assert answers.reserve(b"a", b"new", 201.0, 103.5) is None, "the first one was too old"
