"""The pool of open spaces: how many have files open, which is closed first, and that nobody notices."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput, StoreError
from mnemos.store.pool import FILES_OF_ONE, Pool, open_limit
from mnemos.text.system import DEFAULT

T0 = datetime(2024, 1, 1, tzinfo=UTC)
LINUX = Path("/proc/self/fd").exists()


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="none", max_open=3, clock=lambda: T0) as memory:
        yield memory


def is_open(space):
    return not space.store.closed


def filled(memory, n):
    spaces = [memory.space(f"u{i}") for i in range(n)]
    for i, space in enumerate(spaces):
        space.add(f"I live in Town{i}.")
    return spaces


def crowd(memory):
    for i in range(5):
        memory.space(f"other{i}")


@pytest.mark.skipif(not LINUX, reason="counts descriptors in /proc")
def test_spaces_that_a_user_holds_work_with_a_few_open_files(memory):
    before = descriptors()
    spaces = filled(memory, 20)
    for _ in range(2):
        for i, space in enumerate(spaces):
            assert [hit.cube.text for hit in space.search("live")] == [f"I live in Town{i}."]
            space.update(space.cubes().items[0].id, content=f"I live in Town{i}.", metadata={"turn": time.time()})
            assert memory.space(f"u{i}") is space
    assert sum(map(is_open, spaces)) == 3
    assert descriptors() <= before + 3 * FILES_OF_ONE


def test_the_least_recently_used_is_closed_first(memory):
    a, b, c = filled(memory, 3)
    assert a.search("live")
    memory.space("new")
    assert [is_open(s) for s in (a, b, c)] == [True, False, True]
    assert b.count() == 1
    assert [is_open(s) for s in (a, b, c)] == [True, True, False]


def test_a_space_in_a_transaction_stays_open(memory):
    a, *_ = filled(memory, 1)
    with a.store.transaction():
        a.add("I have a cat.")
        for i in range(8):
            memory.space(f"v{i}").add("x")
        assert is_open(a)
        a.add("I have a dog.")
    assert a.count() == 3
    memory.space("w").add("x")
    memory.space("w2")
    memory.space("w3")
    assert not is_open(a)
    assert a.count() == 3


def test_a_space_at_work_in_another_thread_stays_open_and_nobody_waits_for_it(memory):
    a, *_ = filled(memory, 1)
    inside, leave = threading.Event(), threading.Event()

    def work():
        with a.store.transaction():
            inside.set()
            leave.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert inside.wait(10)
        for i in range(8):
            memory.space(f"v{i}").add("x")
        assert is_open(a)
    finally:
        leave.set()
        worker.join()


def test_a_search_after_others_wrote_to_a_space_that_was_closed_finds_it(memory, tmp_path):
    a, *_ = filled(memory, 4)
    assert not is_open(a)
    with Mnemos(tmp_path, embedder="none") as other:
        other.space("u0").add("I live near the river now.")
    assert len(a.search("live")) == 2


def test_recalls_that_wait_in_ram_are_written_when_a_space_is_closed(memory, tmp_path):
    a, *_ = filled(memory, 1)
    a.search("live")
    crowd(memory)
    assert not is_open(a)
    with Mnemos(tmp_path, embedder="none") as other:
        assert other.space("u0").cubes().items[0].recalls == 1


def test_a_space_that_nobody_holds_keeps_the_system_that_was_chosen(memory):
    memory.space("a", system="bm25").add("x")
    crowd(memory)
    assert memory.space("a").text.system != DEFAULT
    memory.release("a")
    assert memory.space("a").text.system == DEFAULT


def test_a_closed_space_is_opened_again_by_name_only(memory):
    a, *_ = filled(memory, 1)
    a.close()
    with pytest.raises(StoreError, match="Open the space again"):
        a.count()
    assert memory.space("u0").count() == 1


def test_a_space_that_another_process_removed_is_not_made_again(memory, tmp_path):
    a, *_ = filled(memory, 5)
    with Mnemos(tmp_path, embedder="none") as other:
        other.remove("u0")
    with pytest.raises(StoreError, match="removed by another process"):
        a.count()
    assert "u0" not in memory


def test_threads_that_use_more_spaces_than_may_be_open_lose_nothing(memory):
    spaces = filled(memory, 8)
    errors = []

    def work(t):
        try:
            for i in range(40):
                space = spaces[(7 * i + t) % 8] if t % 2 else memory.space(f"u{(5 * i + t) % 8}")
                space.add(f"note {t} {i}", reconcile=False)
                space.search("note")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(s.count() for s in spaces) == 8 + 4 * 40
    assert all(s.doctor().healthy for s in spaces)


def test_a_space_that_is_slow_to_open_stalls_no_other(memory, monkeypatch):
    filled(memory, 1)
    opening, leave = threading.Event(), threading.Event()
    real = memory.stores.open

    def slow(name):
        if name == "slow":
            opening.set()
            leave.wait(10)
        return real(name)

    monkeypatch.setattr(memory.stores, "open", slow)
    found = []
    workers = [threading.Thread(target=lambda: found.append(memory.space("slow"))) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        assert opening.wait(10)
        assert memory.space("u0").search("live")
        assert memory.space("another").count() == 0
        assert not found
    finally:
        leave.set()
        for worker in workers:
            worker.join()
    assert found[0] is found[1], "two threads that open one space share it"


CROWD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
from mnemos import Mnemos
from mnemos.errors import MnemosError, OutOfFiles
from mnemos.adapters.mem0 import Memory
with Mnemos(sys.argv[1], embedder="none") as memory:
    users = Memory(memory)
    for i in range(60):
        users.add(f"I live in Town{i}.", user_id=f"user{i}", run_id="r")
    assert len(users.search("live", run_id="r", top_k=100)["results"]) == 60
    assert len(memory.search("live", 100, spaces=memory.spaces())) == 60
    extra = []
    try:
        while True:
            extra.append(open("/dev/null"))
    except OSError:
        pass
    assert len(memory.spaces()) == 60, "the pool gives back what others took"
    try:
        while True:
            extra.append(open("/dev/null"))
    except OSError:
        pass
    memory.close()
    try:
        while True:
            extra.append(open("/dev/null"))
    except OSError:
        pass
    for what in (memory.spaces, lambda: memory.space("mem0:user:user3")):
        try:
            what()
        except OutOfFiles as error:
            assert "ulimit -n" in str(error) and "permission" not in str(error), error
        else:
            raise AssertionError(what)
    extra.clear()
    assert len(memory.search("live", 100, spaces=memory.spaces())) == 60
"""


@pytest.mark.skipif(not LINUX, reason="sets the limit of descriptors")
def test_sixty_users_fit_into_eighty_descriptors_and_the_real_cause_is_said_when_none_is_left(tmp_path):
    done = subprocess.run([sys.executable, "-c", CROWD, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Idle:
    def __init__(self, used, busy=False):
        self.used, self.busy = used, busy

    def suspend(self):
        return not self.busy


def test_a_pool_counts_what_is_open_and_keeps_what_is_busy():
    pool, busy = Pool(2), Idle(0, busy=True)
    for handle in (busy, Idle(1), Idle(2), Idle(3)):
        pool.enter(handle)
    assert len(pool) == 2
    pool.leave(busy)
    assert len(pool) == 1


@pytest.mark.parametrize("given", [0, -1, True, "many"])
def test_a_limit_that_is_no_number_of_spaces_is_refused(given, tmp_path, monkeypatch):
    with pytest.raises(InvalidInput, match="max_open"):
        open_limit(given)
    monkeypatch.setenv("MNEMOS_MAX_OPEN", str(given))
    if given is not True:
        with pytest.raises(InvalidInput, match="MNEMOS_MAX_OPEN"):
            Mnemos(tmp_path)


def test_the_limit_comes_from_the_setting_or_from_the_descriptors(monkeypatch):
    monkeypatch.setenv("MNEMOS_MAX_OPEN", "7")
    assert open_limit() == 7
    assert open_limit(9) == 9
    monkeypatch.delenv("MNEMOS_MAX_OPEN")
    monkeypatch.setattr("mnemos.store.pool.descriptor_limit", lambda: 1_024)
    assert open_limit() == 170
