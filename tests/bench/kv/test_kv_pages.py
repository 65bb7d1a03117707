"""The measurements of pages: equal outputs beside every time, and shares that add up."""

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from mnemos.bench.kv import pages  # noqa: E402

torch.set_num_threads(1)

# Each way in a process of its own, which has no memory to spare from other calls, after one import for all.
PEAKS = """
import os, sys
from mnemos.bench.kv.pages import peak
import mnemos.activation.paged.softmax
for way in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        peak(way, 2000, False)
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(autouse=True)
def one_round(monkeypatch):
    monkeypatch.setattr(pages, "ROUNDS", 1)


def test_a_pool_of_pages_wastes_little_and_holds_more_than_reservations():
    result = pages.waste(0, blocks=512, steps=80)
    assert 0 < result["waste"] <= result["waste_at_most"] < 0.06
    assert result["waste_reserved"] > 0.6
    assert result["more_sequences"] == pytest.approx(result["running"] / (512 * 16 / 2048), abs=0.02)
    assert pages.waste(0, blocks=512, steps=80) == result


def test_every_way_of_reading_is_timed_and_gives_the_same():
    [row] = pages.read(0, (64,))
    assert set(row["ms"]) == {"contiguous", "paged", "scattered"}
    assert row["largest_difference"] < 1e-5
    [row] = pages.relay(0, (3,), (40,), 8)
    assert row["largest_difference"] < 1e-5
    token = 2 * pages.HEADS * pages.WIDTH * 4
    assert row["bytes"] == (40 + 3 * 8) * token
    assert row["bytes_replicated"] == 3 * 48 * token


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_a_call_is_above_what_was_there_before():
    ways = ("plain", "chunked")
    told = subprocess.run([sys.executable, "-c", PEAKS, *ways], capture_output=True, text=True, check=True).stdout
    peaks = dict(zip(ways, (json.loads(line)["peak_mb"] for line in told.splitlines()), strict=True))
    assert peaks["plain"] > 2 * 2000 * 2000 * 4 / 1e6  # two heads' scores
    assert peaks["chunked"] < peaks["plain"] / 2


@pytest.mark.skipif(sys.platform != "linux", reason="virtual tensors need Linux")
def test_virtual_memory_is_what_was_written():
    result = pages.virtual(0, (1, 500))
    assert [row["resident"] for row in result["written"]] == [0, 4096, 500 * 2048 + 2048 * (500 % 2)]
    assert result["released"]["resident"] == 0
    assert result["largest_difference"] < 1e-5
