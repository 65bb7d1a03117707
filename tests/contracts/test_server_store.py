"""What every store of API keys, answers, conversations and rates promises."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from mnemos.errors import StoreError
from mnemos.store.open import open_answers, open_chats, open_keys, open_rates, secret_of
from mnemos.store.server import ChatRow, KeyRow

ONE = KeyRow("one", "first", b"salt", b"hash", ("ana", "b*"), ("read", "write"), 10, 99)


@pytest.fixture
def open_them(location):
    opened = []

    def open_again():
        opened.append(open_keys(location))
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


@pytest.fixture
def answers(location):
    answers = open_answers(location)
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


def test_one_of_many_reserves_a_name(location):
    handles = [open_answers(location) for _ in range(4)]
    found = []
    threads = [
        threading.Thread(target=lambda h=h, i=i: found.append(h.reserve(b"n", str(i).encode(), 1.0, 0.0)))
        for i, h in enumerate(handles)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one in found if one is None] == [None]
    assert len({body for body, answer in filter(None, found)}) == 1, "the others see the one that won"
    for handle in handles:
        handle.close()


def test_places_in_conversations_are_found_the_newest_first_and_forgotten_with_age(location):
    chats = open_chats(location)
    chats.put([ChatRow("a", "r1", 10.0, False), ChatRow("b", "r1", 10.0, False)], 0.0)
    chats.put([ChatRow("a", "r2", 20.0, False), ChatRow("a", "r1", 5.0, True)], 0.0)
    other = open_chats(location)
    assert other.find(["a", "x"], 0.0) == [ChatRow("a", "r2", 20.0, False), ChatRow("a", "r1", 10.0, True)]
    assert other.find(["a"], 15.0) == [ChatRow("a", "r2", 20.0, False)]
    other.put([], 15.0)
    assert chats.find(["a", "b"], 0.0) == [ChatRow("a", "r2", 20.0, False)]
    chats.close()
    other.close()


def test_the_secret_of_a_root_is_made_once(location):
    found = []
    threads = [threading.Thread(target=lambda: found.append(secret_of(location))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found[0]) == 32


@pytest.mark.parametrize("location", ["postgres"], indirect=True)
def test_a_rate_is_that_of_all_servers_together(location):
    one, two = open_rates(location), open_rates(location)
    taken = [rates.lease("ana", 0.001, 10, 4) for rates in (one, two, one)]
    assert taken == [4, 4, 2]
    assert -1000 <= two.lease("ana", 0.001, 10, 4) < -900, "the seconds until there is one"
    assert two.lease("bob", 0.001, 3, 4) == 3
    assert 1 <= two.lease("ana", 1e6, 10, 4) <= 4, "a bucket fills with time"
    one.close()
    two.close()
