"""A plan on paper for a thousand million cubes, from measured bytes and times, and what breaks first, by simulation.

    python -m benchmarks scale-plan

Reads what `cube-bytes` has measured. The rest is arithmetic and simulation, with these assumptions:

- Cubes are spread over spaces by a log-normal law (many spaces are small, few large), requests over spaces by Zipf's law. The
  most asked spaces are drawn by chance, whatever their size.
- A space lies in one shard by the hash of its name, and shards lie on nodes evenly, as Citus places them.
- A server that is asked for a space that it has not open reads all its words and vectors first (a view); it keeps the views
  used last, as many as its RAM holds. Requests go to servers by the hash of the space.
- Placing by load takes the shards in the order of their requests, each to the node that has the fewest so far.
- A node copies shards at a given rate while it serves; a shard is moved as a whole, and each new node takes an equal share.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench import plots
from mnemos.bench.progress import Progress
from mnemos.bench.registry import RESULTS, Result, Rows, benchmark, get
from mnemos.errors import InvalidInput

GB = 1e9
EXPONENTS = (0.8, 1.0, 1.2)
SHARDS = (32, 128, 512, 2_048, 8_192)
ISOLATED = (0, 1, 4, 16, 64)  # spaces that are given a shard of their own


@dataclass(frozen=True)
class Options:
    """The installation, and what its machines are taken to be."""

    cubes: int = 1_000_000_000  # cubes in all
    spaces: int = 10_000_000  # spaces
    one: int = 100_000_000  # cubes of the one large space
    searches: int = 2_000  # searches a second, at the peak
    adds: int = 500  # cubes added a second, at the peak
    nodes: int = 8  # database nodes of the simulations
    shards: int = 2_048  # shards of the plan
    node_tb: float = 0.25  # data on a database node: a new one copies it within the hour
    node_ram_gb: float = 128.0  # RAM of a database node
    server_ram_gb: float = 48.0  # RAM of a server for views
    server_cores: int = 16  # cores of a server
    busy: float = 0.5  # share of a core that may be busy
    copies: int = 2  # copies of each row: a primary and a read replica
    move_mb: float = 100.0  # MB a second that a node copies while it serves
    gb_month: float = 0.10  # price of a GB of disk a month, in a currency
    core_month: float = 25.0  # price of a core with its RAM a month
    requests: int = 6_000_000  # requests of the cold start
    seed: int = 0  # seed of the simulations


def table(result: Result) -> Rows:
    """Return the plan."""
    head = [
        "what",
        f"{result['cubes']:.0e} cubes in {result['spaces']:.0e} spaces",
        f"{result['one']:.0e} in one space",
    ]
    return [head, *([what, many, one] for what, (many, one) in result["plan"].items())]


def hot_table(result: Result) -> Rows:
    """Return the busiest node against the mean one, by exponent and number of shards."""
    rows: Rows = [["Zipf exponent", "requests of the first space", *(f"{n:,} shards" for n in result["hot"]["shards"])]]
    for exponent, row in result["hot"]["busiest"].items():
        rows.append([exponent, f"{100 * result['hot']['first'][exponent]:.2f} %", *(f"{x:.2f}" for x in row)])
    return rows


def isolated_table(result: Result) -> Rows:
    """Return the busiest node against the mean one, by the spaces with a shard of their own, all placed by load."""
    found = result["isolated"]
    rows: Rows = [["Zipf exponent", *(f"{n} alone" for n in found["spaces"])]]
    return rows + [[exponent, *(f"{x:.2f}" for x in row)] for exponent, row in found["busiest"].items()]


def events_table(result: Result) -> Rows:
    """Return cold starts and rebalancing."""
    cold, move = result["cold"], result["move"]
    return [
        ["event", "figure"],
        ["servers all restarted: searches that open a space, first minute", f"{100 * cold['first_minute']:.0f} %"],
        ["the same once warm", f"{100 * cold['warm']:.0f} %"],
        ["spaces a server has open when its RAM is full", f"{cold['open']:,}"],
        ["cores busy with opening in the first minute, of all", f"{100 * cold['cores']:.0f} %"],
        [f"nodes doubled from {move['before']}: bytes moved", f"{move['tb']:.2f} TB"],
        ["hours until all is moved", f"{move['hours']:.1f}"],
        ["largest space, cubes", f"{result['largest']:,}"],
        ["shards that hold twice the mean and more", f"{move['heavy']} of {move['shards']:,}"],
    ]


@benchmark(
    "scale-plan",
    help="A plan for a thousand million cubes from measured bytes, and what breaks first, by simulation.",
    options=Options,
    tables={
        "scale-plan": table,
        "scale-hot": hot_table,
        "scale-isolated": isolated_table,
        "scale-events": events_table,
    },
    plot=lambda result, path: draw(result, path),
    extra="bench",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the plan and the simulations."""
    path = get("cube-bytes").path(RESULTS)
    if not path.exists():
        raise InvalidInput(f"there is no {path}: run `python -m benchmarks cube-bytes` first, in the repository.")
    measured = json.loads(path.read_text(encoding="utf-8"))
    rng = np.random.default_rng(options.seed)
    sizes = rng.lognormal(0.0, 1.5, options.spaces)
    sizes *= options.cubes / sizes.sum()
    bytes_a_cube = sum(x for each in measured["postgres"].values() for x in each.values())
    shard = rng.integers(0, max(SHARDS), options.spaces)  # the hash of a name; fewer shards are its remainder
    return {
        "cubes": options.cubes, "spaces": options.spaces, "one": options.one, "largest": int(sizes.max()),
        "measured": {"cubes": measured["cubes"], "date": measured["date"], "bytes": bytes_a_cube},
        "plan": plan(options, measured, bytes_a_cube), "hot": hot(options, shard, rng),
        "isolated": isolated(options, shard),
        "cold": cold(options, measured, sizes, rng), "move": move(options, sizes, shard, bytes_a_cube),
    }  # fmt: skip


def plan(options: Options, measured: Result, bytes_a_cube: float) -> dict[str, tuple[str, str]]:
    """Return what both installations need: of disk, RAM, cores and money."""
    ms, view = measured["ms"], measured["view_bytes"]
    index = sum(each["indexes"] for each in measured["postgres"].values())
    rows: dict[str, list[str]] = {}

    def put(what: str, *values: str) -> None:
        rows[what] = list(values)

    disks, nodes = [], []
    for cubes in (options.cubes, options.one):
        disks.append(cubes * bytes_a_cube / GB)
        by_ram = cubes * index / GB / 4 / options.node_ram_gb  # a quarter of the indexes is read often
        nodes.append(max(math.ceil(disks[-1] / 1e3 / options.node_tb), math.ceil(by_ram), 1))
    cores = (options.searches * ms["search"] + options.adds * (ms["embed"] + ms["store"])) / 1e3 / options.busy
    servers = math.ceil(cores / options.server_cores)
    put("rows, vectors and indexes, one copy", *(f"{d / 1e3:.2f} TB" for d in disks))
    put(f"with {options.copies} copies", *(f"{options.copies * d / 1e3:.2f} TB" for d in disks))
    put("database nodes for a copy", *(f"{n}" for n in nodes))
    put("cubes a node of that disk holds", *[f"{options.node_tb * 1e12 / bytes_a_cube:,.0f}"] * 2)
    put("all views in RAM", *(f"{cubes * view / GB:,.0f} GB" for cubes in (options.cubes, options.one)))
    put(
        "vectors in RAM at 1/32 of their bytes", *(f"{c * 768 / 32 / GB:,.1f} GB" for c in (options.cubes, options.one))
    )
    put(
        f"servers for {options.searches:,} searches and {options.adds:,} adds a second",
        f"{servers}",
        "not by views: see below",
    )
    days = [c * ms["embed"] / 1e3 / 16 / 86_400 for c in (options.cubes, options.one)]
    put("embedding all again, days on 16 cores", *(f"{d:,.1f}" for d in days))
    prices = [
        options.copies * (d * options.gb_month + n * 16 * options.core_month) for d, n in zip(disks, nodes, strict=True)
    ]
    prices[0] += servers * options.server_cores * options.core_month
    put("a million cubes a month, at the prices assumed", *(
        f"{price / (c / 1e6):.2f}" for price, c in zip(prices, (options.cubes, options.one), strict=True)
    ))  # fmt: skip
    return {what: (many, one) for what, (many, one) in rows.items()}


def zipf(count: int, exponent: float) -> NDArray[np.float64]:
    """Return the share of requests of each space, the most asked first."""
    weights = 1.0 / np.arange(1, count + 1) ** exponent
    return np.asarray(weights / weights.sum())


def hot(options: Options, shard: NDArray[np.int64], rng: np.random.Generator) -> dict[str, Any]:
    """Return the requests of the busiest node, times the mean of all nodes."""
    found: dict[str, Any] = {"shards": SHARDS, "busiest": {}, "first": {}}
    for exponent in EXPONENTS:
        shares = zipf(options.spaces, exponent)
        rows = []
        for shards in SHARDS:
            load = np.bincount(shard % shards, weights=shares, minlength=shards)
            nodes = np.bincount(rng.permutation(shards) % options.nodes, weights=load, minlength=options.nodes)
            rows.append(float(nodes.max() * options.nodes))
        found["busiest"][f"{exponent:.1f}"], found["first"][f"{exponent:.1f}"] = rows, float(shares[0])
    return found


def isolated(options: Options, shard: NDArray[np.int64]) -> dict[str, Any]:
    """Return the busiest node when shards are placed by load, the most asked first, and hot spaces have their own."""
    found: dict[str, Any] = {"spaces": ISOLATED, "busiest": {}}
    for exponent in EXPONENTS:
        shares, rows = zipf(options.spaces, exponent), []
        for alone in ISOLATED:
            rest = np.bincount(shard[alone:] % options.shards, weights=shares[alone:], minlength=options.shards)
            nodes = np.zeros(options.nodes)
            for load in sorted([*shares[:alone], *rest], reverse=True):
                nodes[nodes.argmin()] += load
            rows.append(float(nodes.max() * options.nodes))
        found["busiest"][f"{exponent:.1f}"] = rows
    return found


def cold(options: Options, measured: Result, sizes: NDArray[np.float64], rng: np.random.Generator) -> dict[str, Any]:
    """Return how many searches open a space after a restart, by the minute, with a Zipf exponent of 1."""
    ms, view = measured["ms"], measured["view_bytes"]
    cores = (options.searches * ms["search"] + options.adds * (ms["embed"] + ms["store"])) / 1e3 / options.busy
    servers = max(1, math.ceil(cores / options.server_cores))
    asked = np.searchsorted(np.cumsum(zipf(options.spaces, 1.0)), rng.random(options.requests)).clip(
        max=options.spaces - 1
    )
    asked = asked[asked % servers == 0]  # of one server
    room, held, second = options.server_ram_gb * GB, 0.0, options.searches / servers
    views: OrderedDict[int, float] = OrderedDict()
    opened, work = [], []
    full = 0
    for space in asked.tolist():
        if space in views:
            views.move_to_end(space)
            opened.append(0)
            continue
        size = sizes[space] * view
        views[space], held = size, held + size
        while held > room:
            full = full or len(views)
            held -= views.popitem(last=False)[1]
        opened.append(1)
        work.append(sizes[space] * ms["open"] / 1e3)
    step = max(1, int(10 * second))
    shares = [float(np.mean(opened[i : i + step])) for i in range(0, len(opened) - step + 1, step)]
    minute = min(len(opened), int(60 * second))
    begun = sum(opened[:minute])
    return {
        "servers": servers, "seconds": [10.0 * (i + 0.5) for i in range(len(shares))], "share": shares,
        "first_minute": begun / max(1, minute), "warm": float(np.mean(opened[-step:])), "open": full or len(views),
        "full": bool(full), "cores": float(sum(work[:begun])) / (60 * options.server_cores),
    }  # fmt: skip


def move(options: Options, sizes: NDArray[np.float64], shard: NDArray[np.int64], bytes_a_cube: float) -> dict[str, Any]:
    """Return what it takes to double the nodes: half of the shards move, in parallel from each old node to a new one."""
    load = np.bincount(shard % options.shards, weights=sizes, minlength=options.shards) * bytes_a_cube
    node = np.arange(options.shards) % options.nodes
    moved, seconds = 0.0, 0.0
    for n in range(options.nodes):
        own = np.sort(load[node == n])[::-1]
        sent = float(own[: len(own) // 2].sum())
        moved, seconds = moved + sent, max(seconds, sent / (options.move_mb * 1e6))
    return {
        "before": options.nodes, "tb": moved / 1e12, "hours": seconds / 3600, "shards": options.shards,
        "heavy": int((load > 2 * load.mean()).sum()), "heaviest": float(load.max() / load.mean()),
    }  # fmt: skip


def draw(result: Result, path: Path) -> Path:
    """Draw the busiest node by the number of shards and of isolated spaces, and a cold start."""
    figure = plots.new_figure(10, 3.2)
    hot_axis, alone_axis, cold_axis = figure.subplots(1, 3)
    for colour, exponent in zip(plots.PALETTE, result["hot"]["busiest"], strict=False):
        shards, spaces = result["hot"]["busiest"][exponent], result["isolated"]["busiest"][exponent]
        hot_axis.plot(result["hot"]["shards"], shards, marker="o", color=colour, label=f"Zipf {exponent}")
        alone_axis.plot(range(len(spaces)), spaces, marker="o", color=colour)
    top = 1.4 * max(max(row) for row in result["hot"]["busiest"].values())
    hot_axis.set(xscale="log", xlabel="shards", ylabel="busiest node / mean", title="Placed by hash", ylim=(0, top))
    hot_axis.legend(frameon=False, loc="upper left", ncols=2)
    alone_axis.set(xlabel="hot spaces with their own shard", title="Placed by load", ylim=(0, top))
    alone_axis.set_xticks(range(len(ISOLATED)), [str(n) for n in result["isolated"]["spaces"]])
    cold = result["cold"]
    cold_axis.plot([s / 60 for s in cold["seconds"]], [100 * x for x in cold["share"]], color=plots.BLUE)
    cold_axis.set(
        xlabel="minutes after a restart", ylabel="% of searches open a space", title="Cold start", ylim=(0, 105)
    )
    for axis in (hot_axis, alone_axis, cold_axis):
        plots.tidy(axis)
    figure.savefig(path, dpi=110)
    return path
