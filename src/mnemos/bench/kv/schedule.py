"""When to free the cache of an agent that waits for a tool, and which prefix to evict: `mnemos bench kv-schedule`.

A simulation of a server, by events, with time in seconds and memory in tokens. Programs arrive at random (Poisson). A
program has several turns: each brings new tokens (first the task, then the tool's answer), generates tokens, and ends
in a call of one of `TOOLS`, whose durations have heavy tails; the last turn ends the program. A turn is admitted when
all that it will hold fits into memory beside running and pinned caches; other caches are evicted, least recently used
first, tails first. The prefill of what is not cached takes its turn on the one processor;
generation then goes at its own pace. The job completion time is from a program's arrival to its end.

Policies differ in how long a cache is pinned after a turn (`mnemos.activation.paged.lease`), and in the order of the
queue: by request ("lru (request order)", as servers do by default), or pinned first, then by the arrival of the
program. All that is cached stays findable until its space is needed. Where nothing runs and the first in the queue
does not fit, the pin of the youngest program is lifted, so that no policy can block the server forever. Not simulated:
preemption, offload to other memory, slower generation in larger batches. "continuum" charges the whole lease, as the
paper does, "continuum, held" the time actually held.

The second part compares evictions of cached prefixes: hit rates on three workloads.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.errors import InvalidInput
from mnemos.registry import Entry

if TYPE_CHECKING:
    from mnemos.activation.paged.base import Lease, Ranking

MEMORY = 100_000  # tokens of keys and values
PREFILL = 8_000.0  # tokens a second, one prefill at a time
DECODE = 50.0  # tokens a second of one request
TOOLS = {  # (share of the calls, median seconds, sigma of the logarithm)
    "read": (0.45, 0.3, 0.8),
    "search": (0.25, 1.5, 1.0),
    "test": (0.2, 6.0, 1.2),
    "browse": (0.1, 30.0, 1.5),
}
LONGEST = 60  # turns: such a program still fits into the memory
FIXED = (1.0, 2.0, 5.0, 10.0)  # seconds


@dataclass(frozen=True, slots=True)
class Turn:
    """Tokens read, tokens generated, and the tool that is called then."""

    new: int
    out: int
    tool: str
    seconds: float


@dataclass(slots=True)
class Program:
    """A running agent: its turn, and the tokens of its context that are in memory."""

    arrival: float
    turns: list[Turn]
    at: int = 0
    context: int = 0  # tokens before this turn
    cached: int = 0  # of them in memory; all while it runs
    since: float = 0.0  # in the queue since then
    end: float = math.nan


def programs(
    rng: np.random.Generator, count: int, rate: float, turns: int, lengths: str, pace: float = 1.0
) -> list[Program]:
    """Return `count` programs that arrive at `rate` a second, with `turns` turns on average and 2 to `LONGEST` each.

    Their number is Poisson ("alike") or geometric ("memoryless"). `pace` multiplies the durations of the tools.
    """
    draw: Callable[[], int] = {
        "alike": lambda: int(rng.poisson(turns)),
        "memoryless": lambda: 1 + int(rng.geometric(1 / (turns - 1))),
    }[lengths]
    arrivals = np.cumsum(rng.exponential(1 / rate, count))
    names, shares = list(TOOLS), [share for share, _, _ in TOOLS.values()]
    made = []
    for arrival in arrivals:
        steps = []
        for i in range(min(max(draw(), 2), LONGEST)):
            tool = names[rng.choice(len(names), p=shares)]
            _, median, sigma = TOOLS[tool]
            new = rng.lognormal(math.log(3000 if i == 0 else 400), 0.6)
            out = rng.lognormal(math.log(120), 0.6)
            steps.append(Turn(1 + int(new), 1 + int(out), tool, float(pace * median * rng.lognormal(0, sigma))))
        made.append(Program(float(arrival), steps))
    return made


class Server:
    """One run of the simulation: `work` returns when all programs are done."""

    def __init__(self, lease: Lease, by_program: bool, memory: int = MEMORY) -> None:
        from mnemos.activation.paged.lease import Pins

        self.lease, self.by_program, self.memory = lease, by_program, memory
        self.pins: Pins[int] = Pins(lease)  # by the id of a program
        self.now = 0.0
        self.free = memory
        self.processor = 0.0  # free from then on
        self.running = 0
        self.prefilled = 0  # tokens
        self.queue: list[Program] = []
        self.idle: OrderedDict[int, Program] = OrderedDict()  # with tokens in memory, in the order of eviction
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.ids = itertools.count()

    def work(self, jobs: list[Program]) -> None:
        """Run all programs to their end."""
        for job in jobs:
            self.at(job.arrival, self._asker(job))
        while self.events:
            self.now, _, act = heapq.heappop(self.events)
            act()
            self.admit()

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Schedule a call."""
        heapq.heappush(self.events, (time, next(self.ids), act))

    def _asker(self, job: Program) -> Callable[[], None]:
        def ask() -> None:
            if job.at:
                self.lease.record_tool(job.turns[job.at - 1].tool, job.turns[job.at - 1].seconds)
            job.since = self.now
            self.queue.append(job)

        return ask

    def admit(self) -> None:
        """Start the first of the queue as long as it fits."""
        while self.queue:
            job = min(self.queue, key=self._order)
            turn = job.turns[job.at]
            missing = job.context + turn.new + turn.out - job.cached
            if not self._make_room(missing, job):
                return
            self.queue.remove(job)
            self.idle.pop(id(job), None)
            if job.at and job.cached < job.context:
                self.lease.record_wait(self.now - job.since)
            uncached = job.context - job.cached + turn.new
            self.free -= missing
            job.cached += missing
            self.running += 1
            self.prefilled += uncached
            self.processor = max(self.now, self.processor) + uncached / PREFILL
            self.at(self.processor + turn.out / DECODE, self._finisher(job, turn))

    def _order(self, job: Program) -> tuple[float, ...]:
        return (not self._pinned(job), job.arrival) if self.by_program else (job.since,)

    def _pinned(self, job: Program) -> bool:
        return self.pins.active(id(job), self.now)

    def _make_room(self, missing: int, job: Program) -> bool:
        """Evict until `missing` tokens are free; return False, with nothing evicted, where that is impossible."""
        others = [other for other in self.idle.values() if other is not job]
        loose = [other for other in others if not self._pinned(other)]
        if self.free + sum(other.cached for other in loose) < missing:
            if self.running:
                return False
            pinned = [other for other in others if self._pinned(other)]
            if not pinned:
                raise RuntimeError(f"a turn of {job.context + missing} tokens never fits into {self.memory}")
            self.pins.end(id(max(pinned, key=lambda other: other.arrival)))
            return self._make_room(missing, job)
        for other in loose:
            taken = min(other.cached, max(missing - self.free, 0))
            other.cached -= taken
            self.free += taken
            if other.cached == 0:
                del self.idle[id(other)]
        return True

    def _finisher(self, job: Program, turn: Turn) -> Callable[[], None]:
        def finish() -> None:
            self.running -= 1
            job.context = job.cached
            job.at += 1
            if job.at == len(job.turns):
                self.free += job.cached
                job.cached, job.end = 0, self.now
                self.lease.record_program(len(job.turns))
                return
            until = self.pins.start(id(job), turn.tool, reload=job.context / PREFILL, now=self.now)
            self.idle[id(job)] = job
            self.at(self.now + turn.seconds, self._asker(job))
            if self.now < until < math.inf:
                self.at(until + 1e-9, lambda: None)  # so that the queue is looked at again

        return finish


def policies() -> dict[str, tuple[Lease, bool]]:
    """Return a new lease of each policy, and whether its queue is ordered by program."""
    from mnemos.activation.paged.lease import Continuum, FixedTtl

    made: dict[str, tuple[Lease, bool]] = {
        "lru (request order)": (FixedTtl(0.0), False),
        "lru": (FixedTtl(0.0), True),
        "pin forever": (FixedTtl(math.inf), True),
    }
    made |= {f"fixed {seconds:g} s": (FixedTtl(seconds), True) for seconds in FIXED}
    return made | {"continuum": (Continuum(), True), "continuum, held": (Continuum(charge="held"), True)}


def simulate(seeds: Sequence[int], count: int, rate: float, turns: int, lengths: str, pace: float) -> dict[str, Any]:
    """Return for each policy the mean and the 95th percentile of the job completion time, and the tokens prefilled."""
    rows: dict[str, Any] = {}
    for name in policies():
        times: list[float] = []
        tokens = 0
        for seed in seeds:
            jobs = programs(np.random.default_rng(seed), count, rate, turns, lengths, pace)
            server = Server(*policies()[name])
            server.work(jobs)
            times += [job.end - job.arrival for job in jobs]
            tokens += server.prefilled
        rows[name] = {
            "mean_s": round(float(np.mean(times)), 2),
            "p95_s": round(float(np.percentile(times, 95)), 2),
            "prefilled_per_job": round(tokens / len(times)),
        }
    return rows


def streams(seed: int) -> dict[str, tuple[list[tuple[str, int]], int]]:
    """Return the requests (prefix, tokens) and the space of each workload of the second part.

    "two passes": 39 prefixes are asked for in order, twice, with space for half of their tokens. "hot and scan": half
    of the requests are for 10 prefixes, the others for one that is never asked for again; space for twice the ten.
    "sizes": 200 prefixes of 100 to 30,000 tokens, popularity by Zipf's law and independent of the size; space for a
    tenth.
    """
    rng = np.random.default_rng(seed)

    def sizes(n: int, sigma: float) -> list[int]:
        return [int(size) for size in np.clip(rng.lognormal(math.log(1500), sigma, n), 100, 30_000)]

    passes = [(f"p{i}", size) for i, size in enumerate(sizes(39, 0.8))]
    hot, once = [(f"h{i}", size) for i, size in enumerate(sizes(10, 0.8))], sizes(4000, 0.8)
    scan = [hot[rng.integers(10)] if rng.random() < 0.5 else (f"s{i}", once[i]) for i in range(4000)]
    many = [(f"m{i}", size) for i, size in enumerate(sizes(200, 1.3))]
    shares = 1 / np.arange(1, 201)
    asked = [many[i] for i in rng.choice(200, 8000, p=shares / shares.sum())]
    return {
        "two passes": (passes * 2, sum(size for _, size in passes) // 2),
        "hot and scan": (scan, 2 * sum(size for _, size in hot)),
        "sizes": (asked, sum(size for _, size in many) // 10),
    }


class PrefixCache:
    """Whole prefixes by name, in a number of tokens of space; a ranking says which are evicted.

    A prefix that is larger than the whole space is not kept. The hits of an evicted prefix are forgotten.
    """

    def __init__(self, tokens: int, ranking: Ranking) -> None:
        from mnemos.activation.paged.base import PrefixEntry
        from mnemos.activation.paged.eviction import EvictionQueue

        if tokens < 1:
            raise InvalidInput(f"a prefix cache of {tokens} tokens: expected 1 or more.")
        self.tokens, self.used = tokens, 0
        self.queue: EvictionQueue[str] = EvictionQueue(ranking)
        self.entries: dict[str, PrefixEntry] = {}
        self._clock = itertools.count(1)
        self._new = PrefixEntry

    def ask(self, name: str, tokens: int) -> bool:
        """Return whether a prefix is cached; if not, add it, and evict others until it fits."""
        now = next(self._clock)
        if entry := self.entries.get(name):
            entry.hits, entry.last = entry.hits + 1, now
            self.queue.add(name, entry)
            return True
        if tokens <= self.tokens:
            while self.used + tokens > self.tokens:
                self.used -= self.entries.pop(self.queue.pop()).tokens
            self.entries[name] = self._new(tokens, 1, now)
            self.queue.add(name, self.entries[name])
            self.used += tokens
        return False


def evictions(seeds: Sequence[int]) -> dict[str, Any]:
    """Return for each workload and ranking the share of requests and of tokens that were found in the cache."""
    from mnemos.activation.paged.eviction import HitsPerToken, PrefixLru, PrefixSlru

    rankings: dict[str, Ranking] = {"lru": PrefixLru(), "slru": PrefixSlru(), "hits per token": HitsPerToken()}
    rows: dict[str, Any] = {}
    for seed in seeds:
        for workload, (requests, space) in streams(seed).items():
            for name, ranking in rankings.items():
                cache = PrefixCache(space, ranking)
                found = [cache.ask(prefix, tokens) for prefix, tokens in requests]
                tokens = np.array([tokens for _, tokens in requests])
                cell = rows.setdefault(workload, {}).setdefault(name, {"requests": 0.0, "tokens": 0.0})
                cell["requests"] += float(np.mean(found)) / len(seeds)
                cell["tokens"] += float(tokens[found].sum() / tokens.sum()) / len(seeds)
    return {w: {n: {k: round(x, 4) for k, x in c.items()} for n, c in cells.items()} for w, cells in rows.items()}


@dataclass(frozen=True)
class Options:
    """Which programs, and how many."""

    seed: int = 0  # first of the seeds
    seeds: int = 3  # runs of each cell
    count: int = 300  # programs of a run
    turns: tuple[int, ...] = (4, 8, 16)  # turns of a program, on average
    rates: tuple[float, ...] = (2, 3)  # turns a second
    lengths: tuple[str, ...] = ("alike", "memoryless")  # how the numbers of turns vary
    paces: tuple[float, ...] = (
        0.2,
        5,
    )  # durations of the tools, times the usual ones; at the last rate, programs alike


def table(result: Result) -> Rows:
    """Return the mean time of a job by how long caches are pinned while tools work, at the higher load."""
    rows = [row for row in result["leases"] if row["turns_per_s"] == 3 and row["pace"] == 1.0]
    lines: Rows = [["mean seconds of a job", *(f"{r['turns']} turns, lengths {r['lengths']}" for r in rows)]]
    for policy in rows[0]["policies"]:
        lines.append([policy, *(f"{r['policies'][policy]['mean_s']:.0f}" for r in rows)])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return the mean time of a job under a lease, or the requests whose prefix an eviction kept."""
    if entry.form != "activation":
        return None
    if entry.name == "continuum":
        loads = [load["policies"] for load in result["leases"]]
        mean = {name: sum(load[name]["mean_s"] for load in loads) / len(loads) for name in ("continuum", "lru")}
        text = f"a job takes {mean['continuum']:.0f} s, mean of {len(loads)} loads"
        return Figure(text, {"lru": f"{mean['lru']:.0f} s"})
    name = entry.name.removesuffix("-prefixes").replace("-", " ")
    if name not in result["evictions"]["sizes"]:
        return None
    cells = {
        kind: {n: percent(row["requests"], 0) for n, row in rows.items()} for kind, rows in result["evictions"].items()
    }
    found = ", ".join(f"{row[name]} ({kind})" for kind, row in cells.items())
    others = {"lru": ", ".join(row["lru"] for row in cells.values())} if name != "lru" else {}
    return Figure(f"finds the prefix of {found} of the requests", others)


@benchmark(
    "kv-schedule",
    help="How long caches are kept while tools work, and which prefixes are evicted, in a simulation.",
    options=Options,
    tables={"kv-schedule": table},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Simulate the programs and the evictions; means over the seeds.

    The faster and slower tools of `paces` are tried with programs alike, at the last rate. "gain" is the mean
    completion time of "lru (request order)" over that of a policy: above 1, the policy is faster.
    """
    o = options
    tried = range(o.seed, o.seed + o.seeds)
    grid = [(kind, n, rate, 1.0) for kind, n, rate in itertools.product(o.lengths, o.turns, o.rates)]
    grid += [(o.lengths[0], n, o.rates[-1], pace) for pace, n in itertools.product(o.paces, o.turns)]
    progress.expect(len(grid))
    cells = []
    for kind, n, rate, pace in grid:
        rows = simulate(tried, o.count, rate / n, n, kind, pace)
        served = rows["lru (request order)"]["mean_s"]
        gains = {name: round(served / row["mean_s"], 3) for name, row in rows.items()}
        setting = {"lengths": kind, "turns": n, "turns_per_s": rate, "pace": pace}
        cells.append(setting | {"policies": rows, "gain": gains})
        progress(1)
    return {
        "seed": o.seed, "seeds": o.seeds, "programs": o.count, "memory_tokens": MEMORY, "prefill_tokens_per_s": PREFILL,
        "decode_tokens_per_s": DECODE, "tools": {k: list(v) for k, v in TOOLS.items()},
        "leases": cells, "evictions": evictions(tried),
    }  # fmt: skip
