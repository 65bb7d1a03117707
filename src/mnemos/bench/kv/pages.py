"""Pages, a shared prefix, chunked reads and virtual memory: `mnemos bench kv-pages`.

- `waste`: sequences of mixed lengths arrive, grow by a token a step and end, in one pool. Reported is the share of the
  held entries that hold no token, against reserving the longest length for each, and how many run at once.
- `read`: one decode step over T entries: contiguous, in neighbouring blocks, in blocks scattered over the pool.
- `relay`: one decode step of B requests behind a prefix of s tokens: one copy of it against a copy for each request,
  read by the same code and by torch's own attention.
- `chunked`: n queries over n entries, forward alone and with the gradient, each in its own process: the peak of
  resident memory above that before the call, and the time.
- `virtual`: resident memory of a reserved gigabyte as tokens are written and released, and the time of a decode step.

Times are processor times on one thread: the least of several interleaved runs, except for `chunked`, which runs once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemos.bench import machine
from mnemos.bench.cells import percent
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 16  # tokens a block
LONGEST = 2048  # tokens of a sequence
HEADS, GROUPS, WIDTH = 4, 2, 64
ROUNDS = 15


@dataclass(frozen=True)
class Options:
    """Which random numbers."""

    seed: int = 0  # seed of the requests and the tensors


def table(result: Result) -> Rows:
    """Return the savings of pages, a shared prefix and chunked attention."""
    w = result["waste"]
    lines: Rows = [
        ["what", "measured", "against"],
        [
            "room that holds no token, mixed lengths",
            f"{100 * w['waste']:.1f} %",
            f"{100 * w['waste_reserved']:.1f} % reserved",
        ],
        ["sequences at once", f"{w['running']:.0f}", f"{w['running_reserved']} reserved"],
    ]
    for row in result["read"]:
        ms = row["ms"]
        what = f"one step over {row['entries']:,} entries in pages / scattered, ms"
        lines.append([what, f"{ms['paged']:.2f} / {ms['scattered']:.2f}", f"{ms['contiguous']:.2f} in one piece"])
    for row in (r for r in result["relay"] if r["requests"] == 16):
        what = f"16 requests behind a shared prefix of {row['prefix']:,}, ms a step"
        lines.append([what, f"{row['ms']['relay']:.1f}", f"{row['ms']['replicated']:.1f} with a copy each"])
    for row in (r for r in result["chunked"] if r["n"] == 8192):
        what = f"8,192 queries in chunks{', with the gradient' if row['gradient'] else ''}: memory, slowdown"
        found = f"{row['chunked']['peak_mb']:.0f} MB, {row['slowdown']:.2f} times"
        lines.append([what, found, f"{row['plain']['peak_mb']:.0f} MB at once"])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what each part says of its method."""
    waste, relay, chunked, virtual = result["waste"], result["relay"][-1], result["chunked"][-1], result["virtual"]
    figures = {
        "paged-attention": Figure(
            f"wastes {percent(waste['waste'], 0)} of its memory",
            {"reserving the longest": percent(waste["waste_reserved"], 0)},
        ),
        "relay-attention": Figure(f"{relay['gain']:.1f} times as fast as {relay['requests']} copies of the prefix"),
        "chunked-attention": Figure(
            f"takes {chunked['times_less_memory']:.0f} times less memory at {chunked['n']:,} tokens"
        ),
        "vattention": Figure(
            f"reads {virtual['entries']:,} entries in {virtual['ms']['virtual']:.2f} ms",
            {"a plain tensor, tokens first": f"{virtual['ms']['plain, tokens first']:.2f} ms"},
        ),
    }
    return figures.get(entry.name) if entry.form == "activation" else None


@benchmark(
    "kv-pages",
    help="Pages, a shared prefix, attention in chunks and virtual memory: memory and time.",
    options=Options,
    tables={"kv-pages": table},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Run all parts; see the module for what they are."""
    import torch

    progress.expect(5)
    seed = options.seed

    torch.manual_seed(seed)
    parts: dict[str, Any] = {}
    with one_thread():
        for part in (waste, read, relay, chunked, virtual):
            parts[part.__name__] = part(seed)
            progress(1)
    return {"seed": seed, "heads": HEADS, "groups": GROUPS, "width": WIDTH, **parts}


def waste(seed: int, blocks: int = 2048, steps: int = 1500) -> dict[str, Any]:
    """Fill a pool with sequences of mixed lengths for `steps` and return means over the second half.

    Where a sequence has no space to grow, the youngest is swapped out, and returns before others are admitted.
    """
    import torch

    from mnemos.activation.paged.pool import Pool
    from mnemos.activation.paged.swap import RamSwap

    rng = np.random.default_rng(seed)
    pool = Pool(blocks, layers=1, heads=1, width=1, size=SIZE, swap=RamSwap())
    ends: dict[str, int] = {}  # by age
    paused: list[str] = []  # the youngest first
    shares, reserved, running, finished, swapped = [], [], [], 0, 0
    for step in range(steps):
        while paused and -(-pool.length(paused[-1]) // SIZE) + len(ends) < pool.free_blocks:
            pool.swap_in(paused.pop())
        while not paused:  # admit a request that fits and leaves a block for each sequence
            prompt = int(np.clip(rng.lognormal(5.3, 0.9), 8, LONGEST // 2))
            if -(-prompt // SIZE) + len(ends) >= pool.free_blocks:
                break
            name = f"{step}/{len(ends)}/{finished}"
            ends[name] = min(prompt + 1 + int(rng.lognormal(5.0, 0.9)), LONGEST)
            pool.open(name)
            _append(pool, name, rng.integers(0, 2**31, prompt).tolist(), torch.zeros(1, prompt, 1))
        for name in list(ends):
            if pool.length(name) >= ends[name]:
                pool.free(name)
                del ends[name]
                paused = [other for other in paused if other != name]
                finished += 1
                continue
            while name not in paused and not pool.can_grow(name, 1):
                youngest = [other for other in ends if other not in paused][-1]
                pool.swap_out(youngest)
                paused.append(youngest)
                swapped += 1
            if name not in paused:
                _append(pool, name, [int(rng.integers(2**31))], torch.zeros(1, 1, 1))
        if step >= steps // 2:
            active = [name for name in ends if name not in paused]
            shares.append(pool.waste)
            reserved.append(1 - sum(pool.length(name) for name in active) / (len(active) * LONGEST))
            running.append(len(active))
    at_most = blocks * SIZE // LONGEST
    return {
        "tokens": blocks * SIZE, "block": SIZE, "longest": LONGEST, "finished": finished, "swapped_out": swapped,
        "waste": round(float(np.mean(shares)), 4), "waste_at_most": round(max(shares), 4),
        "waste_reserved": round(float(np.mean(reserved)), 4),
        "running": round(float(np.mean(running)), 1), "running_reserved": at_most,
        "more_sequences": round(float(np.mean(running)) / at_most, 2),
    }  # fmt: skip


def _append(pool: Any, name: str, tokens: list[int], zeros: Tensor) -> None:
    pool.grow(name, tokens)
    pool.write(name, 0, zeros, zeros)


def read(seed: int, lengths: Sequence[int] = (512, 2048, 8192)) -> list[dict[str, Any]]:
    """Time a decode step over contiguous, neighbouring and scattered entries, and compare the outputs."""
    import torch

    from mnemos.activation.paged.pool import Pool
    from mnemos.activation.paged.softmax import attend

    rows = []
    for length in lengths:
        keys, values = torch.randn(2, HEADS, length, WIDTH)
        query = torch.randn(HEADS * GROUPS, 1, WIDTH)
        blocks = length // SIZE
        pool = Pool(2 * blocks, layers=1, heads=HEADS, width=WIDTH, size=SIZE)
        scattered = Pool(2 * blocks, layers=1, heads=HEADS, width=WIDTH, size=SIZE)
        for i in range(2 * blocks):  # every other block is taken
            scattered.open(str(i))
            scattered.grow(str(i), [i])
        for i in range(0, 2 * blocks, 2):
            scattered.free(str(i))
        for at in (pool, scattered):
            at.open("x")
            at.grow("x", list(range(length)))
            at.write("x", 0, keys, values)
        expected = attend(query[None], keys[None], values[None])[0][0]
        ways: dict[str, Callable[[], Any]] = {
            "contiguous": partial(attend, query[None], keys[None], values[None]),
            "paged": partial(pool.attend, "x", 0, query),
            "scattered": partial(scattered.attend, "x", 0, query),
        }
        off = max(float((at.attend("x", 0, query)[0] - expected).abs().max()) for at in (pool, scattered))
        rows.append({"entries": length, "ms": _times(ways), "largest_difference": off})
    return rows


def relay(
    seed: int, requests: Sequence[int] = (4, 16, 32), prefixes: Sequence[int] = (512, 2048, 8192), own: int = 128
) -> list[dict[str, Any]]:
    """Time a decode step behind a shared prefix: one copy, and a copy for each request."""
    import torch

    from mnemos.activation.paged.relay import SharedPrefix
    from mnemos.activation.paged.softmax import attend

    rows = []
    for b in requests:
        for s in prefixes:
            prefix, mine = torch.randn(2, HEADS, s, WIDTH), torch.randn(2, b, HEADS, own, WIDTH)
            query = torch.randn(b, HEADS * GROUPS, 1, WIDTH)
            shared = SharedPrefix(*prefix)
            whole = torch.cat([prefix[:, None].expand(2, b, HEADS, s, WIDTH), mine], 3)
            ways: dict[str, Callable[[], Any]] = {
                "relay": partial(shared.attend, query, *mine),
                "replicated": partial(attend, query, *whole),
                "replicated, torch": partial(_torchs, query, *whole),
            }
            off = float((ways["relay"]()[0] - ways["replicated, torch"]()).abs().max())
            times = _times(ways)
            fastest = min(times["replicated"], times["replicated, torch"])
            rows.append({
                "requests": b, "prefix": s, "own": own, "ms": times, "gain": round(fastest / times["relay"], 2),
                "bytes": shared.nbytes + mine.nbytes, "bytes_replicated": whole.nbytes, "largest_difference": off,
            })  # fmt: skip
    return rows


def _torchs(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(query, keys, values, enable_gqa=True)


def chunked(seed: int, lengths: Sequence[int] = (2048, 4096, 8192)) -> list[dict[str, Any]]:
    """Measure attention of n queries over n entries each in its own process, plain and chunked."""
    rows = []
    for n in lengths:
        for gradient in (False, True):
            cells = {way: _measured(way, n, gradient) for way in ("plain", "chunked")}
            rows.append({
                "n": n, "gradient": gradient, **cells,
                "times_less_memory": round(cells["plain"]["peak_mb"] / cells["chunked"]["peak_mb"], 1),
                "slowdown": round(cells["chunked"]["seconds"] / cells["plain"]["seconds"], 2),
            })  # fmt: skip
    return rows


def _measured(way: str, n: int, gradient: bool) -> dict[str, float]:
    code = f"from mnemos.bench.kv.pages import peak; peak({way!r}, {n}, {gradient})"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    cell: dict[str, float] = json.loads(done.stdout)
    return cell


def peak(way: str, n: int, gradient: bool) -> None:
    """Print the highest resident memory above that before the call (MB) and the time, as JSON. Linux only.

    Two heads, causal. Run it in a process that does nothing else.
    """
    import torch

    from mnemos.activation.paged.softmax import ChunkedAttention, Visibility, naive
    from mnemos.footprint.measure import forget_peak, resident

    torch.set_num_threads(1)
    call: Callable[..., Any] = ChunkedAttention().attend if way == "chunked" else naive
    visible = Visibility(offset=0)

    def once(length: int) -> None:
        inputs = [torch.randn(1, 2, length, WIDTH, requires_grad=gradient) for _ in range(3)]
        output, _ = call(*inputs, visible)
        if gradient:
            output.sum().backward()

    once(64)
    forget_peak()
    before, started = resident(), time.process_time()
    once(n)
    seconds = time.process_time() - started
    print(json.dumps({"peak_mb": round((resident(peak=True) - before) / 1e6, 1), "seconds": round(seconds, 3)}))


def virtual(seed: int, tokens: Sequence[int] = (1, 100, 1000, 10_000, 100_000)) -> dict[str, Any]:
    """Reserve a gigabyte, write tokens, and release them; and read a slice as fast as a contiguous tensor."""
    import torch

    from mnemos.activation.paged.softmax import attend
    from mnemos.activation.paged.virtual import VirtualTensor

    row = 2 * HEADS * WIDTH * 4  # bytes of a token, keys and values
    process = machine.rss_mb()
    reserved = VirtualTensor((2**30 // row, 2, HEADS, WIDTH))
    rows = []
    for n in (0, *tokens):
        reserved.tensor[:n] = 1.0
        rows.append({"tokens": n, "written": n * row, "resident": reserved.resident,
                     "process_mb": round(machine.rss_mb() - process, 1)})  # fmt: skip
    reserved.release()
    after = {"resident": reserved.resident, "process_mb": round(machine.rss_mb() - process, 1)}
    length = 4096
    data = torch.randn(length, 2, HEADS, WIDTH)
    reserved.tensor[:length] = data
    keys, values = data.permute(1, 2, 0, 3)[:, None].contiguous()
    slices = reserved.tensor[:length].permute(1, 2, 0, 3)[:, None]
    plain = data.permute(1, 2, 0, 3)[:, None]
    query = torch.randn(1, HEADS * GROUPS, 1, WIDTH)
    ways: dict[str, Callable[[], Any]] = {
        "contiguous": lambda: attend(query, keys, values),
        "plain, tokens first": lambda: attend(query, *plain),
        "virtual": lambda: attend(query, *slices),
    }
    off = float((ways["virtual"]()[0] - ways["contiguous"]()[0]).abs().max())
    times = _times(ways)
    return {"reserved": reserved.reserved, "written": rows, "released": after, "entries": length, "ms": times,
            "largest_difference": off}  # fmt: skip


def _times(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the least time of each way in milliseconds, over interleaved rounds."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            least[name] = min(least[name], time.process_time() - started)
    return {name: round(seconds * 1000, 4) for name, seconds in least.items()}
