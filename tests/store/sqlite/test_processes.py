"""Several processes write to one space at once: nothing is lost, and each sees the others' writes."""

import json
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from mnemos import Mnemos
from mnemos.serve.keys import KeyStore
from mnemos.store.sqlite import files
from mnemos.store.sqlite.connection import Connection
from mnemos.store.sqlite.schema import VERSION, check

WORDS = ("albatross", "badger", "cormorant", "dingo")
EACH = 500
WRITER = """
import json, sys
from mnemos import Mnemos

root, mine, *all_words = sys.argv[1:]
with Mnemos(root, embedder="none") as memory:
    space = memory.space("shared")
    seen = []
    for i in range(int(all_words.pop())):
        space.add(f"The {mine} was seen at place {i}.")
        if i % 100 == 99:
            seen.append({word: len(space.search(word, 1000)) for word in all_words})
    print(json.dumps(seen), flush=True)
    sys.stdin.readline()
    print(json.dumps({word: len(space.search(word, 1000)) for word in all_words}), flush=True)
"""


def test_four_writers_lose_nothing_and_see_each_other(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), word, *WORDS, str(EACH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for word in WORDS
    ]
    try:
        during = [json.loads(writer.stdout.readline()) for writer in writers]
        after = [json.loads(writer.communicate("go on\n", timeout=60)[0]) for writer in writers]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()

    assert after == [dict.fromkeys(WORDS, EACH)] * len(WORDS)
    for word, seen in zip(WORDS, during, strict=True):
        assert [counts[word] for counts in seen] == [100, 200, 300, 400, 500], "a writer finds all of its own at once"
        for other in WORDS:
            found = [counts[other] for counts in seen]
            assert found == sorted(found), "what was found once is found again"

    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("shared")
        assert space.count() == EACH * len(WORDS)
        texts = {cube.text for cube in space.cubes(limit=10_000).items}
        assert texts == {f"The {word} was seen at place {i}." for word in WORDS for i in range(EACH)}
        assert space.doctor().problems == []


STEPS = 120
CHANGER = """
import random, sys
from mnemos import Mnemos

root, me, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
dice, mine = random.Random(me), []
memory = Mnemos(root, embedder="none")
for i in range(steps):
    what = dice.choices(("add", "forget", "close"), (75, 18, 7))[0]
    if what == "close":
        memory.close()
        memory = Mnemos(root, embedder="none")
    elif what == "add" or not mine:
        mine.append(memory.space("shared").add(f"{me} saw something at place {i}.", reconcile=False).id)
    else:
        memory.space("shared").forget([mine.pop(dice.randrange(len(mine)))])
memory.close()
print(*mine)
"""


def test_processes_that_add_forget_and_close_lose_nothing_of_each_other(tmp_path):
    changers = [
        subprocess.Popen(
            [sys.executable, "-c", CHANGER, str(tmp_path), name, str(STEPS)], stdout=subprocess.PIPE, text=True
        )
        for name in WORDS
    ]
    try:
        left = [changer.communicate(timeout=120)[0].split() for changer in changers]
    finally:
        for changer in changers:
            changer.kill()
            changer.wait()
    assert [changer.returncode for changer in changers] == [0] * len(WORDS)
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("shared")
        assert {cube.id for cube in space.cubes(limit=10_000).items} == {name for names in left for name in names}
        assert space.doctor().problems == []


class Slow:
    """A connection on which others get their turn after each statement; `then` is called after the first."""

    def __init__(self, db, then):
        self.db, self.then = db, then

    def execute(self, statement):
        found = self.db.execute(statement)
        if self.then is not None:
            self.then, then = None, self.then
            then()
        time.sleep(0.1)
        return found

    @property
    def in_transaction(self):
        return self.db.in_transaction


def test_who_looks_while_another_makes_the_schema_sees_all_of_it_or_nothing(tmp_path):
    path = tmp_path / "shared.mnemos"
    files.make(path)
    db = sqlite3.connect(path, isolation_level=None)
    failed = []

    def make():
        try:
            Connection(path, "shared").close()
        except BaseException as error:
            failed.append(error)

    maker = threading.Thread(target=make)
    assert check(Slow(db, maker.start), str(path)) in (0, VERSION)
    maker.join(60)
    assert not failed
    assert check(db, str(path)) == VERSION
    db.close()


@pytest.mark.parametrize("kind", ["space", "keys"])
def test_a_new_file_may_be_opened_by_many_at_once(tmp_path, kind):
    failed = []

    def open_(path, start):
        start.wait()
        try:
            (Connection(path, "s") if kind == "space" else KeyStore.under(path)).close()
        except BaseException as error:
            failed.append(error)

    for i in range(20):
        start = threading.Barrier(8)
        threads = [threading.Thread(target=open_, args=(tmp_path / str(i), start)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failed == []
