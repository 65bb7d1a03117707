"""Working memory of small networks: `mnemos bench working-memory`.

After WorM (arXiv 2307.10768), in symbols instead of pictures and with four of its tasks, on which each network is trained
jointly: *recall* (a list, then a place: what was there?), *change* (items at places, then one item: was it there?), *update*
(values of slots that are overwritten: what does a slot hold?) and *binding* (colours of shapes: which colour had it?).
Between the last item and the probe lie a number of blanks. Reported: accuracy by set size, by retention interval and by
serial position (recall), at about equal parameters; a set-size effect is the slope of accuracy over the set size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any, Literal

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from mnemos.bench.neural.memories import Batch, Memory

Kind = Literal["recall", "change", "update", "binding"]
TASKS: tuple[Kind, ...] = ("recall", "change", "update", "binding")
ITEMS, PLACES = 8, 8  # values of an item and of a place, shape or slot
MOST, BLANKS = 8, 16  # items of a trial and blanks before the probe, at most
STEPS = MOST + BLANKS + 1
INPUTS = len(TASKS) + ITEMS + PLACES + 1  # task, item, place, and whether this step is the probe
OUTPUTS = ITEMS + 2  # the item, or unchanged and changed


@dataclass(frozen=True)
class Options:
    """The networks and their training."""

    memories: tuple[str, ...] = ("gru", "gru with memory")  # what is trained
    parameters: int = 12_000  # of each network, at most
    steps: int = 1_200  # of training
    batch: int = 64  # trials of a step
    seeds: int = 3  # networks of each kind
    trials: int = 400  # trials of each cell that is measured


def trials(kind: Kind, count: int, items: int, blanks: int, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (N, T, I), the class of the probe (N,), and the position in the list of what is asked for (N,)."""
    import torch

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=rng)

    places = torch.rand(count, PLACES, generator=rng).argsort(-1)[:, :items]  # (N, items): each place once
    if kind == "recall":
        places = torch.arange(items).expand(count, items).clone()
    if kind == "update":
        places = draw(max(items // 2, 1), count, items)  # slots, which are overwritten
    values = draw(ITEMS, count, items)
    asked = draw(items, count)
    row = torch.arange(count)
    place, answer = places[row, asked], values[row, asked]
    x = torch.zeros(count, STEPS, INPUTS)
    x[..., TASKS.index(kind)] = 1
    step = torch.arange(items)
    x[row[:, None], step, len(TASKS) + values] = 1
    x[row[:, None], step, len(TASKS) + ITEMS + places] = 1
    probe = items + blanks
    x[row, probe, len(TASKS) + ITEMS + place] = 1
    x[:, probe, -1] = 1
    if kind == "update":  # the last value that was written into the slot
        last = torch.where(places == place[:, None], step, -1).max(-1).values
        answer, asked = values[row, last], last
    if kind == "change":
        changed = draw(2, count)
        shown = (answer + changed * (1 + draw(ITEMS - 1, count))) % ITEMS
        x[row, probe, len(TASKS) + shown] = 1
        answer = ITEMS + changed
    return x, answer, asked


def drawn(step: int, batch: int, seed: int) -> Batch:
    """Return a batch of trials of all tasks, set sizes and intervals; the step of the probe counts."""
    import torch

    rng = torch.Generator().manual_seed(1_000_003 * seed + step)
    xs, ys, marks = [], [], []
    for kind in TASKS:
        items = int(torch.randint(1, MOST + 1, (1,), generator=rng))
        blanks = int(torch.randint(BLANKS // 2 + 1, (1,), generator=rng))
        x, answer, _ = trials(kind, batch // len(TASKS), items, blanks, rng)
        mark = x[..., -1] == 1
        xs.append(x)
        ys.append(torch.where(mark, answer[:, None], 0))
        marks.append(mark)
    return torch.cat(xs), torch.cat(ys), torch.cat(marks)


def measure(model: nn.Module, count: int, seed: int) -> dict[str, Any]:
    """Return accuracy by task and set size, by task and interval, and by serial position of recall."""
    import torch

    from mnemos.bench.neural.memories import predictions

    rng = torch.Generator().manual_seed(seed)

    def score(kind: Kind, items: int, blanks: int) -> tuple[Tensor, Tensor]:
        x, answer, asked = trials(kind, count, items, blanks, rng)
        return predictions(model, x)[:, items + blanks] == answer, asked

    size = {k: [float(score(k, n, 2)[0].float().mean()) for n in range(1, MOST + 1)] for k in TASKS}
    delay = {k: [float(score(k, 4, b)[0].float().mean()) for b in (0, 4, 8, 12, 16)] for k in TASKS}
    right, asked = score("recall", MOST, 2)
    serial = [float(right[asked == place].float().mean()) for place in range(MOST)]
    return {"size": size, "delay": delay, "serial": serial, "slope": {k: slope(v) for k, v in size.items()}}


def slope(values: Sequence[float]) -> float:
    """Return the change of accuracy with one more item, by least squares."""
    places = range(len(values))
    middle, mean = fmean(places), fmean(values)
    return sum((i - middle) * (v - mean) for i, v in enumerate(values)) / sum((i - middle) ** 2 for i in places)


@benchmark(
    "working-memory",
    help="Working-memory tasks for small networks: set size, retention interval and serial position.",
    options=Options,
    tables={
        "working-memory": lambda result: by_size(result),
        "working-memory-delay": lambda result: by_delay(result),
        "working-memory-serial": lambda result: by_place(result),
    },
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Train each network on all tasks and return the mean and the spread of what is measured over the seeds."""
    from mnemos.bench.neural.memories import build, size, train

    progress.expect(len(options.memories) * options.seeds)
    found: dict[str, Any] = {}
    for memory in options.memories:
        rows = []
        for seed in range(options.seeds):
            model = build(named(memory), INPUTS, OUTPUTS, options.parameters, STEPS, seed)
            train(model, lambda step, seed=seed: drawn(step, options.batch, seed), options.steps)  # type: ignore[misc]
            rows.append(measure(model, options.trials, 10_000 + seed) | {"parameters": size(model)})
            progress(1)
        found[memory] = _pooled(rows)
    return {
        "seeds": options.seeds,
        "steps": options.steps,
        "chance": {"change": 0.5, "others": 1 / ITEMS},
        "networks": found,
    }


def named(name: str) -> Memory:
    """Return the kind of network of this name. Raises InvalidInput, with the nearest names."""
    from mnemos.bench.neural.memories import MEMORIES
    from mnemos.bench.registry import near
    from mnemos.errors import InvalidInput

    for memory in MEMORIES:
        if memory == name:
            return memory
    raise InvalidInput(f"there is no network {name!r}: {near(name, MEMORIES)}")


def _pooled(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: Sequence[Any]) -> Any:
        first = values[0]
        if isinstance(first, dict):
            return {key: mean([v[key] for v in values]) for key in first}
        return (
            [mean(part) for part in zip(*values, strict=True)] if isinstance(first, list) else round(fmean(values), 4)
        )

    spread = {kind: round(pstdev([r["slope"][kind] for r in rows]), 4) for kind in TASKS}
    return mean(rows) | {"slope_spread": spread}  # type: ignore[no-any-return]


def by_size(result: Result) -> Rows:
    """Return accuracy by set size, and its slope."""
    lines: Rows = [["task", "network", *(f"{n} items" for n in range(1, MOST + 1)), "slope an item"]]
    for kind in TASKS:
        for memory, row in result["networks"].items():
            effect = f"{100 * row['slope'][kind]:+.1f} ± {100 * row['slope_spread'][kind]:.1f}"
            lines.append([kind, memory, *(percent(v, 0) for v in row["size"][kind]), effect])
    return lines


def by_delay(result: Result) -> Rows:
    """Return accuracy by retention interval."""
    lines: Rows = [["task, 4 items", "network", *(f"{b} blanks" for b in (0, 4, 8, 12, 16))]]
    for kind in TASKS:
        lines += [
            [kind, memory, *(percent(v, 0) for v in row["delay"][kind])] for memory, row in result["networks"].items()
        ]
    return lines


def by_place(result: Result) -> Rows:
    """Return accuracy of recall by the position in a list of eight."""
    lines: Rows = [["recall of 8, position", *(str(n) for n in range(1, MOST + 1))]]
    return lines + [[memory, *(percent(v, 0) for v in row["serial"])] for memory, row in result["networks"].items()]
