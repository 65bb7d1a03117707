"""Series: digits pixel by pixel, and variates that depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.neural.model import Layer, Network
from mnemos.neural.training import UNASKED, Batch, Recipe, train

if TYPE_CHECKING:
    from mnemos.bench.neural.statespace import Options

IMAGES, ASKED = 10_000, 1_000  # digits to train on, and to test on
STEPS = 2_400  # of training, of the networks that are compared
VARIATES, HISTORY = 3, 36  # of a series, and its length


class Gru(nn.Module):  # type: ignore[misc]
    """A GRU of one layer with a linear output, as a network that is compared."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.cell, self.out = nn.GRU(inputs, width, batch_first=True), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return outputs (B, T, outputs), and no state."""
        return self.out(self.cell(x)[0]), None


def digits(options: Options) -> dict[str, Any]:
    """Return the share of digits that are named after their last pixel, of 8 x 8; needs `mnist`.

    Steps and feed-forward layers were chosen on training images that were not trained on.
    """
    if options.mnist is None:
        return {}
    import numpy as np

    with np.load(options.mnist) as file:
        images = [file["x_train"][:IMAGES], file["x_test"][:ASKED]]
        labels = [torch.from_numpy(file[name]).long() for name in ("y_train", "y_test")]
    pixels = [
        F.avg_pool2d(F.pad(torch.from_numpy(i).float()[:, None] / 255, (2, 2, 2, 2)), 4).flatten(1) for i in images
    ]
    data = (pixels[0], labels[0][:IMAGES], pixels[1], labels[1][:ASKED])
    return compared(options, "digits", data, STEPS) | resampled(options, data)


def optdigits(options: Options) -> dict[str, Any]:
    """Return the same of the 1,797 digits of scikit-learn, of which 297 are asked for, after twelve epochs; needs `optdigits`."""
    if options.optdigits is None:
        return {}
    import numpy as np

    rows = torch.from_numpy(np.loadtxt(options.optdigits, delimiter=",", dtype=np.float32))
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    x, y = rows[:, :-1] / 16, rows[:, -1].long()
    return compared(options, "optdigits", (x[:1500], y[:1500], x[1500:], y[1500:]), 360)


def compared(options: Options, part: str, data: tuple[Tensor, ...], steps: int) -> dict[str, Any]:
    """Return the accuracy of each network with the pixels in order, and permuted in one way for all seeds."""
    s4d: Layer = ("s4d", {"states": 16, "longest": 100.0, "shortest": 2.0})
    members: dict[str, Callable[[], nn.Module]] = {
        "s4d": lambda: Network(1, 10, 64, [s4d] * 2, expand=2),
        "gru": lambda: Gru(1, 100, 10),
    }

    def both_orders(new: Callable[[], nn.Module], seed: int) -> dict[str, float]:
        return {
            "in order": named(new, data, seed, None, steps),
            "permuted": named(new, data, seed, torch.Generator().manual_seed(0), steps),
        }

    found: dict[str, Any] = {}
    for name, new in members.items():
        rows = [
            kept(options.cache, f"{part} {name} {seed}", partial(both_orders, new, seed))
            for seed in range(options.seeds)
        ]
        found[name] = over_seeds(rows)
    return found


def resampled(options: Options, data: tuple[Tensor, ...]) -> dict[str, Any]:
    """Return accuracy in order at the rate of training and at half of it, with and without replay in front of S4D."""
    from mnemos.neural.statespace.replay import StateMemoryReplay
    from mnemos.neural.statespace.s4d import S4D

    def layer(replay: bool) -> Layer:
        inner = S4D(32, 16, longest=100.0, shortest=2.0)
        return StateMemoryReplay(32, 4, inner) if replay else inner

    found: dict[str, Any] = {}
    for name, replay in (("s4d", False), ("replay", True)):
        rows = [
            kept(
                options.cache,
                f"resampled {name} {seed}",
                partial(at_rates, layer, replay, data, seed),
            )
            for seed in range(options.seeds)
        ]
        for rate in ("at the rate", "at half the rate"):
            found[f"{name}, {rate}"] = over_seeds([{"in order": row[rate]} for row in rows])
    return found


def at_rates(layer: Callable[[bool], Layer], replay: bool, data: tuple[Tensor, ...], seed: int) -> dict[str, float]:
    """Return accuracies of one small network."""
    x, y, asked, wanted = data
    torch.manual_seed(seed)
    model = Network(1, 10, 32, [layer(replay)], 0, 0)
    fit(model, x, y, seed, 300)
    return {"at the rate": share(model, asked, wanted), "at half the rate": share(model, asked[:, ::2], wanted)}


def named(
    new: Callable[[], nn.Module], data: tuple[Tensor, ...], seed: int, order: torch.Generator | None, steps: int
) -> float:
    """Return the accuracy of a network."""
    x, y, asked, wanted = data
    if order is not None:
        places = torch.randperm(x.shape[1], generator=order)
        x, asked = x[:, places], asked[:, places]
    torch.manual_seed(seed)
    model = new()
    fit(model, x, y, seed, steps)
    return share(model, asked, wanted)


def fit(model: nn.Module, x: Tensor, y: Tensor, seed: int, steps: int, batch: int = 50) -> None:
    """Train a network to name the digit at its last pixel."""

    def draw(step: int) -> Batch:
        chosen = torch.randint(len(x), (batch,), generator=torch.Generator().manual_seed(1_000_003 * seed + step))
        targets = torch.full((batch, x.shape[1]), UNASKED)
        targets[:, -1] = y[chosen]
        return Batch(x[chosen][..., None], targets)

    train(model, draw, Recipe(steps=steps, rate=0.005, decay=0.01))


def share(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of digits that are named."""
    with torch.no_grad():
        return float((model(x[..., None])[0][:, -1].argmax(-1) == y).float().mean())


def made_series(count: int, dependent: bool, rng: torch.Generator) -> Tensor:
    """Return series (N, T + 1, V) with trend and season; dependent ones repeat the variate before them two steps later."""
    t = torch.arange(HISTORY + 1.0)
    trend = torch.randn(count, 1, VARIATES, generator=rng) * t[:, None] / HISTORY
    phase = 6.283 * torch.rand(count, 1, VARIATES, generator=rng)
    season = torch.sin(6.283 * t[:, None] / 12 + phase)
    shock = torch.randn(count, HISTORY + 1, VARIATES, generator=rng)
    if dependent:
        for v in range(1, VARIATES):
            shock[:, 2:, v] = 0.9 * shock[:, :-2, v - 1] + 0.44 * shock[:, 2:, v]
    return (trend + season + shock) / 1.6


def series(options: Options) -> dict[str, Any]:
    """Return the root of the mean squared error of the next values, for dependent and independent variates."""
    members: dict[str, Callable[[], nn.Module]] = {
        "chimera": lambda: Channels([("chimera", {})]),
        "1-D, the same": lambda: Channels([("chimera", {"across": False})]),
        "gru": lambda: Gru(VARIATES, 20, VARIATES),
    }

    def one(new: Callable[[], nn.Module], seed: int) -> dict[str, float]:
        row = {}
        for name, dependent in (("dependent", True), ("independent", False)):
            torch.manual_seed(seed)
            model = new()

            def draw(step: int, seed: int = seed, dependent: bool = dependent) -> Batch:
                x = made_series(32, dependent, torch.Generator().manual_seed(1_000_003 * seed + step))
                return Batch(x[:, :-1], x[:, 1:])

            train(model, draw, Recipe(steps=300, rate=0.02, decay=0.0), loss=F.mse_loss)
            x = made_series(512, dependent, torch.Generator().manual_seed(10_000_019))
            with torch.no_grad():
                row[name] = float(F.mse_loss(model(x[:, :-1])[0][:, 12:], x[:, 13:]).sqrt())
        return row | {"parameters": sum(p.numel() for p in new().parameters())}

    found = {}
    for name, new in members.items():
        rows = [kept(options.cache, f"series {name} {s}", partial(one, new, s)) for s in range(options.seeds)]
        found[name] = over_seeds(rows, ("parameters",))
    return found


class Channels(nn.Module):  # type: ignore[misc]
    """Layers whose channels are variates, above each other, each added to what is below."""

    def __init__(self, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        super().__init__()
        from mnemos.neural.model import mixer

        self.layers = nn.ModuleList(mixer(layer, VARIATES) for layer in layers)
        self.scale, self.shift = nn.Parameter(torch.ones(VARIATES)), nn.Parameter(torch.zeros(VARIATES))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return outputs (B, T, V), and no state."""
        for layer in self.layers:
            x = layer(x)[0]
        return x * self.scale + self.shift, None
