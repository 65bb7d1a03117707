"""Workers: each task's result comes once, whatever is lost; little is in flight; errors arrive as they were raised."""

import pickle
from importlib.util import find_spec

import pytest

from mnemos.embed import load
from mnemos.embed.hashing import HashingEmbedder
from mnemos.embed.portable import Portable
from mnemos.errors import InvalidInput, MnemosError, NotFound
from mnemos.tasks import INLINE, WorkerLost, load_workers
from mnemos.tasks.base import AHEAD, TRIES
from tests.tasks.jobs import die, die_once, fail, square

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")


@pytest.fixture(scope="module")
def two():
    with load_workers(2) as workers:
        yield workers


@pytest.mark.parametrize("numbers", [[], [3], range(50)])
def test_every_result_comes_once(two, numbers):
    wanted = [n * n for n in numbers]
    assert list(INLINE.run(square, numbers)) == wanted
    assert sorted(two.run(square, numbers)) == wanted


@pytest.mark.parametrize("inline", [True, False])
def test_few_tasks_are_in_flight(two, inline):
    taken = []
    workers = INLINE if inline else two
    results = workers.run(square, (taken.append(n) or n for n in range(100)))
    for done in range(1, 20):
        next(results)
        assert len(taken) <= done + AHEAD * workers.count
    results.close()
    assert len(taken) < 50


def test_an_error_of_a_task_arrives_as_it_was_raised(two):
    for workers in (INLINE, two):
        with pytest.raises(NotFound, match="no number 7"):
            list(workers.run(fail, [7]))
    assert list(two.run(square, [2])) == [4], "the workers go on"


def test_tasks_of_a_killed_worker_are_done_by_another(two, tmp_path):
    tasks = [(n, tmp_path / f"{n}" if n == 3 else None) for n in range(20)]
    assert sorted(two.run(die_once, tasks)) == list(range(20))


def test_a_task_that_kills_each_worker_is_given_up(tmp_path):
    with load_workers(1) as workers, pytest.raises(WorkerLost, match=f"lost {TRIES} times"):
        list(workers.run(die, [str(tmp_path / "tries")]))
    assert len((tmp_path / "tries").read_text()) == TRIES


def test_wrong_numbers_of_workers_are_named():
    assert load_workers() is INLINE
    with pytest.raises(InvalidInput, match="workers is 0"):
        load_workers(0)


def test_an_embedder_is_made_once_in_a_worker():
    sent = pickle.dumps(Portable(HashingEmbedder(16)))
    assert pickle.loads(sent).embedder is pickle.loads(sent).embedder
    bundled = pickle.loads(pickle.dumps(Portable(load("bundled")))).embedder
    assert (bundled.name, bundled._threads) == (load("bundled").name, 1)

    class Local(HashingEmbedder):
        pass

    with pytest.raises(InvalidInput, match="cannot be sent to workers"):
        pickle.dumps(Portable(Local(16)))


def test_ray_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MnemosError, match=r"mnemos-os\[ray\]"):
        load_workers(2, "local")


@needs_ray
def test_ray_does_each_task_once_and_replaces_a_killed_worker(tmp_path):
    with load_workers(2, "local") as workers:
        assert workers.count == 2
        tasks = [(n, tmp_path / f"{n}" if n == 5 else None) for n in range(20)]
        assert sorted(workers.run(die_once, tasks)) == list(range(20))
        with pytest.raises(NotFound, match="no number 7"):
            list(workers.run(fail, [7]))
        taken = []
        results = workers.run(square, (taken.append(n) or n for n in range(100)))
        next(results)
        assert len(taken) <= 1 + AHEAD * 2
        results.close()
