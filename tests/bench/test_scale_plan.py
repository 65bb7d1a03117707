"""The plan of docs/scale.md: its arithmetic and its simulations agree with what can be said without them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.store import scale_plan
from benchmarks.store.cube_bytes import by_layer
from benchmarks.store.scale_plan import Options, cold, hot, isolated, move, plan

SMALL = Options(cubes=2_000_000, spaces=20_000, requests=20_000, nodes=4, shards=512)
MEASURED = {
    "postgres": {"rows": {"rows": 300.0, "indexes": 200.0}, "vectors": {"rows": 900.0, "indexes": 100.0}},
    "ms": {"embed": 5.0, "store": 0.5, "search": 10.0, "open": 0.05}, "view_bytes": 2_000.0,
}  # fmt: skip


@pytest.fixture
def shard():
    return np.random.default_rng(0).integers(0, max(scale_plan.SHARDS), SMALL.spaces)


def test_the_plan_multiplies_what_was_measured():
    both = plan(replace(SMALL, cubes=10**9, one=10**8), MEASURED, 1_500.0)
    assert both["rows, vectors and indexes, one copy"] == ("1.50 TB", "0.15 TB")
    assert both["all views in RAM"] == ("2,000 GB", "200 GB")
    assert both["database nodes for a copy"] == ("6", "1")


def test_placing_by_load_is_never_worse_than_by_hash_and_no_node_has_less_than_its_largest_space(shard):
    by_hash = hot(SMALL, shard, np.random.default_rng(1))
    by_load = isolated(SMALL, shard)
    for exponent, row in by_load["busiest"].items():
        floor = max(1.0, by_hash["first"][exponent] * SMALL.nodes)
        assert all(floor <= each + 1e-9 for each in row)
        assert row[-1] <= min(by_hash["busiest"][exponent]) + 1e-9
        assert row[-1] == pytest.approx(floor, rel=0.05)


def test_servers_with_room_for_all_views_get_warm(shard):
    sizes = np.full(SMALL.spaces, SMALL.cubes / SMALL.spaces)
    roomy = cold(SMALL, MEASURED, sizes, np.random.default_rng(2))
    tight = cold(replace(SMALL, server_ram_gb=0.01), MEASURED, sizes, np.random.default_rng(2))
    assert roomy["warm"] < roomy["share"][0]
    assert not roomy["full"]
    assert tight["full"]
    assert tight["warm"] > roomy["warm"]
    assert tight["open"] == pytest.approx(0.01e9 / (100 * 2_000), abs=1)


def test_doubling_the_nodes_moves_about_half(shard):
    sizes = np.full(SMALL.spaces, SMALL.cubes / SMALL.spaces)
    found = move(SMALL, sizes, shard, 1_000.0)
    assert found["tb"] * 1e12 == pytest.approx(SMALL.cubes * 1_000.0 / 2, rel=0.2)
    assert found["heavy"] == 0


def test_bytes_of_layers_add_up_and_the_results_are_json():
    found = by_layer([("cubes", 600, False), ("cubes", 60, True), ("vectors", 900, False), ("audit", 30, False)], 3)
    assert found["rows"] == {"rows": 200.0, "indexes": 20.0}
    assert sum(part for layer in found.values() for part in layer.values()) * 3 == 1590
    json.dumps(found)
