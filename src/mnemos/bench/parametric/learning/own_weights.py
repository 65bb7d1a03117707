"""Tasks with weights of their own: masks, factors, pieces, and networks that write weights; on permuted digits, the task named.

Five tasks of digits of 14 x 14 pixels (100 images a class are learned, 40 asked), a perceptron of one hidden layer of 100 units,
Adam; each method at a rate that was fixed beforehand. "numbers" counts what a method holds for all tasks (bits as 1/32 of a
number), as a share of five separate networks.
"""

from __future__ import annotations

import heapq
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import torch

from mnemos.bench.parametric.learning.lives import Life, Lived, fresh, live, perceptron
from mnemos.bench.parametric.learning.streams import Images, Task, digits, permuted
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.hypernetwork import Generated, Hypernetwork
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.made import Made, Maker, surprise
from mnemos.parametric.consolidate.masked import Masks
from mnemos.parametric.consolidate.rank_updates import RankUpdates
from mnemos.parametric.consolidate.sparse_tasks import SparseTasks
from mnemos.parametric.consolidate.weight_masks import WeightMasks
from mnemos.parametric.consolidate.weight_search import Pieces, WeightSearch

TASKS, HIDDEN = 5, 100
LIFE = Life(batch=25, epochs=4, asked=True)


class Way(NamedTuple):
    """A strategy and the rate of its optimiser."""

    strategies: tuple[Strategy, ...]
    rate: float


WAYS = {
    "plain": Way((), 1e-3),
    "EWC": Way((Anchor(1e3),), 1e-3),
    "rank updates": Way((RankUpdates(11, 2),), 1e-2),
    "rank updates, no choice of earlier terms": Way((RankUpdates(11, 2, selects=False),), 1e-2),
    "masks by scores, 10 %": Way((WeightMasks(density=0.1),), 1e-2),
    "masks by scores, 30 %": Way((WeightMasks(density=0.3),), 1e-2),
    "masks by scores, 100 %": Way((WeightMasks(density=1.0),), 1e-2),
    "masks by gates": Way((WeightMasks("gates", pressure=1.0),), 1e-2),
    "hypernetwork, chunks": Way((Hypernetwork(0.01, hidden=24, chunk=500),), 1e-2),
    "hypernetwork, chunks, nothing held": Way((Hypernetwork(0.0, hidden=24, chunk=500),), 1e-2),
    "hypernetwork, sequence": Way((Hypernetwork(0.01, "sequence", hidden=20, chunk=500),), 1e-2),
    "pieces of a frozen pool": Way((WeightSearch(),), 3e-3),
    "sparse tasks, static": Way((SparseTasks(0.05, "none"),), 1e-2),
    "sparse tasks, grown at random": Way((SparseTasks(0.05, "random"),), 1e-2),
    "sparse tasks, grown by gradient": Way((SparseTasks(0.05, "gradient"),), 1e-2),
}


def measure(options: Any) -> dict[str, Row]:
    """Return accuracy and forgetting, what is held, and where no task is named, of each method."""
    images = digits(options.data, side=14).fewer(100, 40)
    found = {"separate networks": seeded(options.seeds, lambda seed: separate(images, seed))}
    return found | {name: seeded(options.seeds, partial(once, images, way)) for name, way in WAYS.items()}


def separate(images: Images, seed: int) -> dict[str, float]:
    """Return what one network for each task knows."""
    learners = [lived(task, WAYS["plain"], seed)[1] for task in stream(images, seed)[:TASKS]]
    right = [life.accuracies.ends[-1].accuracies[0] for life in learners]
    return {"accuracy %": sum(right) / len(right), "forgetting %": 0.0, "numbers %": 1.0}


def once(images: Images, way: Way, seed: int) -> dict[str, float]:
    """Return the figures of one life."""
    *tasks, unseen = stream(images, seed)
    learner, life = lived(tasks, way, seed)
    found = life.figures()
    row = {"accuracy %": found["accuracy"], "forgetting %": found["forgetting"], "numbers %": numbers(learner)}
    if isinstance(learner.model, Made) and not isinstance(learner.model.maker, Generated):
        row |= {"unnamed %": unnamed(learner, tasks), "new task told AUROC": told(learner, tasks, unseen)}
    if isinstance(learner.model, Made) and isinstance(learner.model.maker, Masks):
        first, last = coded(learner.model.maker, 1), coded(learner.model.maker, TASKS)
        row |= {"bits a weight and task, coded": last / TASKS, "of the first": first}
    return row | {"seconds": life.seconds}


def stream(images: Images, seed: int) -> list[Task]:
    """Return the tasks, and one more that is never learned."""
    return permuted(images, TASKS + 1, seed)


def lived(tasks: Task | list[Task], way: Way, seed: int) -> tuple[Learner, Lived]:
    """Return a learner at the end of its life."""
    learner = fresh(
        lambda: perceptron([196, HIDDEN, 10], seed), way.strategies, seed, way.rate, torch.optim.Adam, scenario="task"
    )
    return learner, live(learner, [tasks] if isinstance(tasks, Task) else tasks, LIFE, seed)


def numbers(learner: Learner) -> float:
    """Return the numbers that answer all tasks, as a share of those of separate networks."""
    whole = 196 * HIDDEN + HIDDEN * 10 + HIDDEN + 10
    if not isinstance(learner.model, Made):
        return 1 / TASKS
    inner, maker = learner.model.inner, learner.model.maker
    held = sum(p.numel() for own in maker.own.values() for p in own.parameters())
    if isinstance(maker, Masks):
        shared = dict(inner.named_parameters())
        held += sum(shared[n].numel() for n in maker.names)
        held += sum(b.numel() / 4 for bits in maker.masks.values() for b in bits.buffers())
    elif isinstance(maker, Generated):
        held = sum(p.numel() for part in (maker.network, maker.embeddings) for p in part.parameters())
    else:
        held += _of(maker)
    return float(held / whole / TASKS)


def _of(maker: Maker) -> float:
    if isinstance(maker, Pieces):
        pools = sum(b.numel() for n, b in maker.named_buffers() if n.startswith("pool/"))
        places = sum(b.numel() / 4 for b in maker.places.buffers())
        return float(pools + places + sum(p.numel() for p in maker.sizes.parameters()))
    return float(sum(p.numel() for n, p in maker.named_parameters() if not n.startswith("own.")))


def unnamed(learner: Learner, tasks: list[Task]) -> float:
    """Return the accuracy where no task is named: the surest answers."""
    found = [(learner.predict(t.test.x).argmax(-1) == t.test.y).float().mean() for t in tasks]
    return float(torch.stack(found).mean())


def told(learner: Learner, tasks: list[Task], unseen: Task, batch: int = 20) -> float:
    """Return how often a batch of a task that was never learned surprises the surest mask more than one of a learned task."""
    known = torch.cat([_means(surprise(learner, t.test.x), batch) for t in tasks])
    other = _means(surprise(learner, unseen.test.x), batch)
    return float((other[:, None] > known).float().mean())


def _means(values: torch.Tensor, batch: int) -> torch.Tensor:
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(0))
    return torch.stack([part.mean() for part in values[order].split(batch)])


def coded(masks: Masks, tasks: int) -> float:
    """Return the bits a weight of a Huffman code over which of the first tasks use it."""
    whole: Counter[int] = Counter()
    for name in masks.names:
        code = torch.zeros(masks.shapes[name], dtype=torch.long)
        for task in masks.tasks[:tasks]:
            code = 2 * code + masks.mask(task)[name]
        whole.update(code.flatten().tolist())
    return huffman(list(whole.values())) / sum(whole.values())


def huffman(counts: list[int]) -> int:
    """Return the bits of a text whose symbols occur so often, in its shortest code of whole bits."""
    heap, bits = list(counts), 0
    if len(heap) == 1:
        return heap[0]
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits
