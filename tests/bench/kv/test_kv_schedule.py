"""The simulated server: nothing is lost, nothing is free, and the arithmetic of one program is exact."""

import math
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.paged.lease import FixedTtl  # noqa: E402
from mnemos.bench.kv import schedule  # noqa: E402
from mnemos.bench.kv.schedule import DECODE, PREFILL, Program, Server, Turn, programs  # noqa: E402
from mnemos.bench.progress import SILENT  # noqa: E402

NEVER, ALWAYS = FixedTtl(0.0), FixedTtl(math.inf)


def work(jobs, lease, memory=schedule.MEMORY, by_program=True):
    server = Server(lease, by_program, memory)
    server.work(jobs)
    assert server.free == memory
    assert not server.queue
    assert not server.idle
    return server


def test_a_program_alone_takes_its_own_times():
    job = Program(5.0, [Turn(800, 50, "read", 2.0), Turn(400, 100, "read", 9.0)])
    server = work([job], NEVER)
    assert job.end - job.arrival == pytest.approx(800 / PREFILL + 50 / DECODE + 2.0 + 400 / PREFILL + 100 / DECODE)
    assert server.prefilled == 1200  # the cache was there: nobody needed its space


def test_an_evicted_program_prefills_again_what_went():
    first = Program(0.0, [Turn(600, 100, "test", 10.0), Turn(50, 50, "test", 1.0)])
    other = Program(5.0, [Turn(500, 100, "read", 1.0)])
    assert work([first, other], NEVER, memory=1000).prefilled == 600 + 500 + 300 + 50  # 300 made room for the other
    assert first.end == pytest.approx(600 / PREFILL + 100 / DECODE + 10.0 + 350 / PREFILL + 50 / DECODE)
    assert other.end == pytest.approx(5.0 + 500 / PREFILL + 100 / DECODE)


def test_a_pin_is_lifted_before_the_server_idles_with_a_request_in_the_queue():
    first = Program(0.0, [Turn(600, 100, "test", 10.0), Turn(50, 50, "test", 1.0)])
    other = Program(5.0, [Turn(500, 100, "read", 1.0)])
    assert work([first, other], ALWAYS, memory=1000).prefilled == 600 + 500 + 300 + 50
    assert other.end == pytest.approx(5.0 + 500 / PREFILL + 100 / DECODE)


def test_a_lease_that_runs_out_lets_the_queue_go_on():
    first = Program(0.0, [Turn(400, 100, "test", 100.0), Turn(50, 50, "test", 1.0)])
    running = Program(0.0, [Turn(300, 1000, "read", 1.0)])
    waiting = Program(3.0, [Turn(400, 100, "read", 1.0)])
    ends = {}
    for lease in (NEVER, FixedTtl(4.0), ALWAYS):
        jobs = [Program(job.arrival, job.turns) for job in (first, running, waiting)]
        jobs[1].turns = [Turn(100, 400, "read", 1.0)]
        work(jobs, lease, memory=1000)
        ends[lease.seconds] = jobs[2].end
    began = 400 / PREFILL + 100 / DECODE
    served = 400 / PREFILL + 100 / DECODE
    assert ends[0.0] == pytest.approx(3.0 + served)
    assert ends[4.0] == pytest.approx(began + 4.0 + served)
    assert ends[math.inf] == pytest.approx(500 / PREFILL + 400 / DECODE + served)  # when the other one has ended


@pytest.mark.parametrize("name", list(schedule.policies()))
def test_every_program_ends_under_every_policy(name):
    lease, by_program = schedule.policies()[name]
    jobs = programs(np.random.default_rng(1), 60, 1.0, 8, "memoryless")
    server = work(jobs, lease, 40_000, by_program)
    least = sum(turn.new for job in jobs for turn in job.turns)
    assert server.prefilled >= least
    for job in jobs:
        alone = sum(turn.new / PREFILL + turn.out / DECODE for turn in job.turns)
        assert job.end - job.arrival >= alone + sum(turn.seconds for turn in job.turns[:-1]) - 1e-6


def test_a_turn_that_never_fits_is_an_error():
    with pytest.raises(RuntimeError, match="never fits"):
        work([Program(0.0, [Turn(900, 200, "read", 1.0)])], NEVER, memory=1000)


def test_the_module_itself_imports_no_torch():
    code = "import mnemos.bench.kv.schedule, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_seed_gives_the_same_result_in_a_sane_order():
    small = schedule.Options(3, seeds=1, count=40, turns=(16,), rates=(4,), lengths=("alike",), paces=())
    result = schedule.run(small, SILENT)
    assert schedule.run(small, SILENT) == result
    [cell] = result["leases"]
    rows = cell["policies"]
    assert rows["pin forever"]["prefilled_per_job"] < rows["fixed 2 s"]["prefilled_per_job"]
    assert rows["fixed 2 s"]["prefilled_per_job"] < rows["lru"]["prefilled_per_job"]
    assert cell["gain"]["lru (request order)"] == 1
    assert cell["gain"]["continuum, held"] > 1.1
    scan = result["evictions"]["hot and scan"]
    assert scan["slru"]["tokens"] > scan["lru"]["tokens"] + 0.05
    assert result["evictions"]["sizes"]["hits per token"]["requests"] > result["evictions"]["sizes"]["lru"]["requests"]
    assert result["evictions"]["two passes"]["lru"] == {"requests": 0.0, "tokens": 0.0}
