"""Time tells the order of two turns; how well they were found does not."""

from mnemos.bench.progress import SILENT
from mnemos.bench.text import temporal_order

SMALL = temporal_order.Options(turns=400, pairs=40, distances=(1, 10, 100), embedder="none")


def test_time_tells_the_order_and_a_bag_of_chunks_does_not():
    found = temporal_order.run(SMALL, SILENT)
    assert set(found["by_distance"]) == {"1", "10", "100"}
    assert found["found"] >= 0.98
    assert all(row["ours"] >= 0.95 for row in found["by_distance"].values())
    assert 0.3 < found["mean"]["bag_of_chunks"] < 0.7


def test_a_seed_gives_the_same_figures():
    small = temporal_order.Options(turns=150, pairs=10, distances=(1, 10), embedder="none")
    assert temporal_order.run(small, SILENT) == temporal_order.run(small, SILENT)
