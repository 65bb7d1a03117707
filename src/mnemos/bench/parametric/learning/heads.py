"""Heads that take no steps, on digits one class after the other, without a buffer; and networks that take steps, beside them.

`all`: 60,000 images of 28 x 28; `1,000 a class`: 10,000 images of 14 x 14, ten tasks of one class. "seen" is the accuracy on
1,000 images that were learned; "mixed" is the same method on the same images in one mixed stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from mnemos.bench.parametric.learning.lives import Life, accuracy, fresh, live, live_head, perceptron
from mnemos.bench.parametric.learning.streams import Images, Labelled, Task, digits, split
from mnemos.bench.parts import Row, seeded
from mnemos.parametric.base import Head
from mnemos.parametric.consolidate.anchor import Anchor
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.recall.bottleneck import DiscreteKeyValueBottleneck
from mnemos.parametric.recall.neighbours import NeighboursHead
from mnemos.parametric.recall.prototypes import PrototypesHead
from mnemos.parametric.recall.random_features import RandomFeaturesHead
from mnemos.parametric.recall.ridge import RidgeHead

FEW = 1000  # random features of the smaller set
GONE = 5000  # items taken out again
Make = Callable[[int, Images], Head]  # of a seed and the images


def _bottleneck(seed: int, images: Images) -> Head:
    head = DiscreteKeyValueBottleneck(images.side**2, 10, seed=seed)
    some = torch.randperm(len(images.train.y), generator=torch.Generator().manual_seed(seed))[:2000]
    head.fit_keys(images.train.x[some])  # features without their labels
    return head


HEADS: dict[str, Make] = {
    "random features, ridge": lambda seed, images: RandomFeaturesHead(images.side**2, 10, FEW, seed=seed),
    "pixels, ridge": lambda seed, images: RidgeHead(images.side**2, 10),
    "nearest item": lambda seed, images: NeighboursHead(images.side**2, 10),
    "nearest item, HNSW": lambda seed, images: NeighboursHead(images.side**2, 10, index="hnsw"),
    "prototypes, shared covariance": lambda seed, images: PrototypesHead(images.side**2, 10),
    "prototypes, isotropic": lambda seed, images: PrototypesHead(images.side**2, 10, "isotropic"),
    "key-value bottleneck": _bottleneck,
}
NETWORKS: dict[str, tuple[Strategy, ...]] = {
    "network": (),
    "network, EWC": (Anchor(100),),
    "network, replay 200": (Replay(),),
}


def measure(options: Any) -> dict[str, Row]:
    """Return every row: accuracy in sequence and mixed, of seen images, bytes and seconds."""
    large, small = digits(options.data), digits(options.data, side=14).fewer(train=1000, test=100)
    found = {"all: random features, ridge": seeded(options.slow_seeds, partial(everything, large))}
    for name, make in HEADS.items():
        found[f"1,000 a class: {name}"] = seeded(options.seeds, partial(of_head, make, small))
    for name, strategies in NETWORKS.items():
        found[f"1,000 a class: {name}"] = seeded(options.seeds, partial(of_network, strategies, small))
    found["1,000 a class: random features, ridge"] |= seeded(options.seeds, partial(exact, small))
    return found


def everything(images: Images, seed: int) -> dict[str, float]:
    """Return the figures of the exact head on all images."""
    lived = live_head(RandomFeaturesHead(images.side**2, 10, seed=seed), split(images), batch=1000)
    sizes = [len(t.test.y) for t in split(images)]
    right = sum(a * n for a, n in zip(lived.accuracies.ends[-1].accuracies, sizes, strict=True))
    return {"accuracy %": right / sum(sizes), "MB": lived.nbytes / 1e6, "seconds": lived.seconds}


def exact(images: Images, seed: int) -> dict[str, float]:
    """Return how far another order, and deletion, move the weights of the exact head."""
    made = {name: RandomFeaturesHead(images.side**2, 10, FEW, seed=seed) for name in ("forward", "other", "never")}
    made["forward"].learn(*images.train)
    places = torch.randperm(len(images.train.y), generator=torch.Generator().manual_seed(seed))
    for x, y in zip(*(t[places].split(1000) for t in images.train), strict=True):
        made["other"].learn(x, y)
    made["never"].learn(*(t[places[GONE:]] for t in images.train))
    order = (made["forward"].readout.weights - made["other"].readout.weights).abs().max()
    begun = time.process_time()
    made["forward"].forget(*(t[places[:GONE]] for t in images.train))
    spent = time.process_time() - begun
    gone = (made["forward"].readout.weights - made["never"].readout.weights).abs().max()
    return {
        "other order, change of weights": float(order),
        "5,000 deleted, distance to never seen": float(gone),
        "seconds of deletion": spent,
    }


def of_head(make: Make, images: Images, seed: int) -> dict[str, float]:
    """Return the figures of a head on one class after the other, and on all of them mixed."""
    head, mixed = make(seed, images), make(seed, images)
    lived = live_head(head, split(images, each=1))
    places = torch.randperm(len(images.train.y), generator=torch.Generator().manual_seed(seed))
    live_head(mixed, [Task(Labelled(images.train.x[places], images.train.y[places]), images.test)])
    few = places[:1000]
    return {
        "accuracy %": lived.figures()["accuracy"],
        "mixed %": float((mixed.scores(images.test.x).argmax(-1) == images.test.y).float().mean()),
        "seen %": float((head.scores(images.train.x[few]).argmax(-1) == images.train.y[few]).float().mean()),
        "MB": lived.nbytes / 1e6,
        "seconds": lived.seconds,
    }


def of_network(strategies: tuple[Strategy, ...], images: Images, seed: int) -> dict[str, float]:
    """Return the same figures of a network of 100 hidden units that takes a step of SGD for ten images."""
    one, mixed = (fresh(lambda: perceptron([images.side**2, 100, 10], seed), strategies, seed) for _ in range(2))
    lived = live(one, split(images, each=1), Life(batch=10), seed)
    live(mixed, [Task(images.train, images.test)], Life(batch=10), seed)
    places = torch.randperm(len(images.train.y), generator=torch.Generator().manual_seed(seed))[:1000]
    weights = sum(p.numel() * p.element_size() for p in one.model.parameters())
    return {
        "accuracy %": lived.figures()["accuracy"],
        "mixed %": accuracy(mixed, images.test),
        "seen %": accuracy(one, Labelled(images.train.x[places], images.train.y[places])),
        "MB": (lived.nbytes + weights) / 1e6,
        "seconds": lived.seconds,
    }
