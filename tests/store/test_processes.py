"""Several processes write to one space at once: nothing is lost, and each sees the others' writes."""

import json
import subprocess
import sys

from mnemos import Mnemos

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
        assert len(space) == EACH * len(WORDS)
        texts = {cube.text for cube in space.list(limit=10_000).items}
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
        mine.append(memory.space("shared").add(f"{me} saw something at place {i}.", decide=False).id)
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
        assert {cube.id for cube in space.list(limit=10_000).items} == {name for names in left for name in names}
        assert space.doctor().problems == []
