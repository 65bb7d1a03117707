"""Classes one after the other over frozen features, and exact deletion: a part of `mnemos bench slots`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.errors import InvalidInput
from mnemos.parametric.recall.bottleneck import DiscreteKeyValueBottleneck
from mnemos.parametric.recall.ridge import RidgeHead

EACH = 300  # training digits of a class
BATCH = 20
EPOCHS = 3  # over a class before the next one comes; over all of them where they are shuffled
Data = tuple[Tensor, Tensor, Tensor, Tensor]  # features and labels to learn, and to test


class GradientHead:
    """A linear layer, or an MLP with one hidden layer, trained by gradient descent: what heads are compared with."""

    def __init__(self, width: int, classes: int, hidden: int = 0) -> None:
        layers = (
            (nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))
            if hidden
            else (nn.Linear(width, classes),)
        )
        self.net = nn.Sequential(*layers)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=3e-3)

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Take one step."""
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self.net(features), labels).backward()
        self.optimizer.step()

    def scores(self, features: Tensor) -> Tensor:
        """Return the scores of features."""
        with torch.no_grad():
            found: Tensor = self.net(features)
        return found


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Return the share of test items that each head is right for. Raises InvalidInput without data."""
    if options.mnist is None or options.clinc is None:
        raise InvalidInput("heads need --mnist FILE.npz and --clinc FOLDER; or leave them out of --parts.")
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name, row in kept(options.cells, f"heads {seed}", partial(one, options, seed)).items():
            found.setdefault(name, []).append(row)
    return {name: over_seeds(rows, ("written",)) for name, rows in found.items()}


def one(options: Any, seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of one order of classes and one seed of the heads."""
    rows: dict[str, dict[str, float]] = {}
    for column, data in (("right", digits(options.mnist, seed)), ("right_intents", intents(options.clinc))):
        classes = int(data[1].max()) + 1
        for name, ordered in (("", True), (", shuffled", False)):
            for head, made in heads(data, classes, seed).items():
                if head == "ridge" and not ordered:
                    continue  # it does not depend on the order
                epochs = 1 if head == "ridge" else EPOCHS
                for rows_now in batches(data[1], ordered, epochs, seed):
                    made.learn(data[0][rows_now], data[1][rows_now])
                right = float((made.scores(data[2]).argmax(-1) == data[3]).double().mean())
                rows.setdefault(head + name, {})[column] = right
        if column == "right_intents":
            rows["ridge"]["off_after_deletion"] = deletion(data, classes, seed)
    for name, row in rows.items():
        row["written"] = 1 / 64 if name.startswith("bottleneck") else 1.0
    return rows


def heads(data: Data, classes: int, seed: int) -> dict[str, Any]:
    """Return the heads of one run; keys of the bottleneck are fitted to features without their labels."""
    width = data[0].shape[1]
    bottleneck = DiscreteKeyValueBottleneck(width, classes, heads=128, keys=64, rate=0.03, seed=seed)
    bottleneck.fit_keys(data[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        linear, mlp = GradientHead(width, classes), GradientHead(width, classes, 128)
    return {
        "ridge": RidgeHead(width, classes, penalty=0.1),
        "bottleneck": bottleneck,
        "linear head": linear,
        "MLP head": mlp,
    }


def batches(labels: Tensor, ordered: bool, epochs: int, seed: int) -> Iterator[Tensor]:
    """Yield rows: class after class, in an order that the seed makes, or shuffled."""
    made = torch.Generator().manual_seed(seed)
    if not ordered:
        for _ in range(epochs):
            yield from torch.randperm(len(labels), generator=made).split(BATCH)
        return
    for label in torch.randperm(int(labels.max()) + 1, generator=made).tolist():
        rows = (labels == label).nonzero()[:, 0]
        for _ in range(epochs):
            yield from rows[torch.randperm(len(rows), generator=made)].split(BATCH)


def deletion(data: Data, classes: int, seed: int) -> float:
    """Return how far weights are from those of a head that never saw a third of the items, after deleting them one by one."""
    order = torch.randperm(len(data[1]), generator=torch.Generator().manual_seed(seed))
    gone, left = order[: len(order) // 3], order[len(order) // 3 :]
    head, never = (RidgeHead(data[0].shape[1], classes, penalty=0.1) for _ in range(2))
    head.learn(data[0], data[1])
    for row in gone.split(1):
        head.forget(data[0][row], data[1][row])
    never.learn(data[0][left], data[1][left])
    return float((head.weights - never.weights).abs().max())


def digits(path: Path, seed: int) -> Data:
    """Return pixels of MNIST as features of unit length, the first of each class; and 2,000 to test."""
    with np.load(path) as file:
        x, y, xt, yt = (torch.tensor(file[key]) for key in ("x_train", "y_train", "x_test", "y_test"))
    rows = torch.cat([(y == label).nonzero()[:EACH, 0] for label in range(10)])

    def unit(pixels: Tensor) -> Tensor:
        return nn.functional.normalize(pixels.flatten(1).float(), dim=-1)

    return unit(x[rows]), y[rows].long(), unit(xt[:2000]), yt[:2000].long()


def intents(folder: Path) -> Data:
    """Return queries of CLINC150 by the bundled embedder: 20 of each of its first 50 intents to learn, 20 to test."""
    from mnemos.embed import load

    embedder = load("bundled")
    assert embedder is not None
    parts: list[Tensor] = []
    names: dict[str, int] = {}
    for split in ("train", "test"):
        lines = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        taken: dict[str, list[str]] = {}
        for row in lines:
            label = row["label"]
            if (label in names or (split == "train" and len(names) < 50)) and len(taken.setdefault(label, [])) < 20:
                names.setdefault(label, len(names))
                taken[label].append(row["text"])
        texts = [text for label in names for text in taken[label]]
        vectors = torch.tensor(np.asarray(embedder.embed(texts)), dtype=torch.float32)
        parts += [nn.functional.normalize(vectors, dim=-1), torch.tensor([names[n] for n in names for _ in taken[n]])]
    return parts[0], parts[1], parts[2], parts[3]
