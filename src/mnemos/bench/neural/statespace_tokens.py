"""Tokens: recall, longer texts, stores, copying and parity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mnemos.bench.neural.learning import TESTED
from mnemos.bench.neural.sequences import Copying, Parity, Recall, Task, seeded
from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.neural.model import LM, Layer
from mnemos.neural.statespace.long_mamba import LongMamba
from mnemos.neural.statespace.mimetic import mimetic
from mnemos.neural.training import UNASKED, Recipe, accuracy, train

if TYPE_CHECKING:
    from mnemos.bench.neural.statespace import Options

WIDTH, STATES, BATCH = 32, 8, 32
PAIRS, LENGTH, VOCABULARY = 4, 32, 64
Ready = Callable[[LM], None]


def trained(
    layers: Sequence[Layer],
    task: Task,
    vocabulary: int,
    seed: int,
    recipe: Recipe,
    kernel: int = 0,
    ready: Ready | None = None,
    width: int = WIDTH,
) -> LM:
    """Return a model that was trained on a task; `ready` is done to it before."""
    torch.manual_seed(seed)
    model = LM(vocabulary, width, layers, kernel)
    if ready is not None:
        ready(model)
    train(model, seeded(task, BATCH, seed), recipe)
    return model


def right(model: LM, task: Task, count: int = 512) -> float:
    """Return the share of what is right on sequences that no training has seen."""
    return accuracy(model, task(count, torch.Generator().manual_seed(TESTED)))


def earliest(model: LM, task: Task) -> float:
    """Return the share that is right of the values of the first key."""
    inputs, targets = task(512, torch.Generator().manual_seed(TESTED))
    first = (inputs == inputs[:, :1]) & (targets != UNASKED)
    with torch.no_grad():
        said = model(inputs)[0].argmax(-1)
    return float((said == targets)[first].float().mean())


def recall(options: Options) -> dict[str, Any]:
    """Return recall after 400 steps, of the earliest pair, and at 4 and 8 times the length; a filter over the same weights."""
    recipe = Recipe(steps=400, rate=0.005)
    members: dict[str, tuple[list[Layer], Ready | None]] = {
        "s4d": ([("s4d", {"states": STATES})] * 2, None),
        "mamba": ([("mamba", {"states": STATES})] * 2, None),
        "mamba, polarised": ([("mamba", {"states": STATES, "polarised": True})] * 2, None),
        "mamba, mimetic": ([("mamba", {"states": STATES})] * 2, mimetic),
    }
    rows: dict[str, list[dict[str, float]]] = {}
    for name, (layers, ready) in members.items():
        for seed in range(options.seeds):
            made = kept(
                options.cache,
                f"recall {name} {seed}",
                partial(recalled, layers, ready, seed, recipe),
            )
            for suffix, row in made.items():
                rows.setdefault(name + suffix, []).append(row)
    return {name: over_seeds(each) for name, each in rows.items()}


def recalled(layers: Sequence[Layer], ready: Ready | None, seed: int, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return the row of one model, and of filters over its weights where it is a Mamba that recalls."""
    task = Recall(LENGTH, PAIRS, VOCABULARY)
    longer = {f"{n} times": Recall(n * LENGTH, PAIRS, VOCABULARY, power=1.0) for n in (4, 8)}
    model = trained(layers, task, VOCABULARY, seed, recipe, ready=ready)
    found = {
        "": {"right": right(model, task), "earliest": earliest(model, task)}
        | {n: right(model, t, 128) for n, t in longer.items()}
    }
    if ready is not None:
        for suffix, every in ((", filtered", False), (", all filtered", True)):
            row = {"right": found[""]["right"]}
            for name, long in longer.items():
                row[name] = right(filtered(model, layers, long, every), long, 128)
            found[suffix] = row
    return found


def filtered(model: LM, layers: Sequence[Layer], task: Task, every: bool) -> LM:
    """Return a model with the same weights and LongMamba's filter, calibrated on texts of a task without their answers."""
    long = LM(VOCABULARY, WIDTH, [("long-mamba", dict(layer[1])) for layer in layers if isinstance(layer, tuple)], 0)
    long.load_state_dict(model.state_dict())
    inputs = task(16, torch.Generator().manual_seed(TESTED + 1)).inputs
    x = long.embed(inputs)
    with torch.no_grad():
        for layer in long.stack.layers:
            mixer: LongMamba = layer["mixer"]
            mixer.calibrate(layer["norm"](x), LENGTH, every=every)
            x = x + mixer(layer["norm"](x))[0]
    return long


def stores(options: Options) -> dict[str, Any]:
    """Return recall of pairs that lie beyond a window of 8, by what is kept of the tokens before, after 200 or 400 steps."""
    words = 32  # different tokens
    task, longer = Recall(48, PAIRS, words, power=1.0), Recall(4 * 48, PAIRS, words, power=1.0)
    store = {"window": 8, "store": 8, "states": 4}
    members: dict[str, tuple[list[Layer], int]] = {
        "b-mojo": ([("b-mojo", store)], 200),
        "b-mojo, store of 4": ([("b-mojo", store | {"store": 4})], 200),
        "b-mojo, newest": ([("b-mojo", store | {"choice": "newest"})], 200),
        "b-mojo, random": ([("b-mojo", store | {"choice": "random"})], 200),
        "window and fading state": ([("mamba", {"states": 4, "expand": 1}), ("attention", {"window": 16})], 200),
        "mamba": ([("mamba", {"states": STATES})] * 2, 400),
        "mem-mamba": ([("mem-mamba", {"states": STATES, "notes": 8})], 400),
    }

    def one(member: tuple[list[Layer], int], seed: int) -> dict[str, Any]:
        layers, steps = member
        model = trained(layers, task, words, seed, Recipe(steps=steps, rate=0.01), kernel=3)
        return {
            "right": right(model, task),
            "4 times": right(model, longer, 128),
            "state": model.state_size(48),
            "steps": steps,
        }

    return table_of(options, "stores", members, one)


def copying(options: Options) -> dict[str, Any]:
    """Return the share of 12 symbols that are said again in order after 250 steps, and of 24; one of six is chance."""
    task, longer = Copying(0, 12, 6), Copying(0, 24, 6)
    members: dict[str, tuple[list[Layer], Ready | None]] = {
        "s4d": ([("s4d", {"states": 16, "longest": 100.0})] * 2, None),
        "mamba": ([("mamba", {"states": 16})] * 2, None),
        "mamba, mimetic": ([("mamba", {"states": 16})] * 2, mimetic),
    }

    def one(member: tuple[list[Layer], Ready | None], seed: int) -> dict[str, Any]:
        layers, ready = member
        model = trained(layers, task, task.vocabulary, seed, Recipe(steps=250, rate=0.01), ready=ready)
        return {"right": right(model, task), "twice": right(model, longer)}

    return table_of(options, "copying", members, one)


def selective(options: Options) -> dict[str, Any]:
    """Return the share of 8 symbols among 32 blanks that are said again in order; one of eight is chance."""
    task = Copying(32, 8, 8, selective=True)
    members: dict[str, Layer] = {
        "s4d": ("s4d", {"states": 16, "longest": 100.0}),
        "gated-delta-net": "gated-delta-net",
    }

    def one(layer: Layer, seed: int) -> dict[str, Any]:
        recipe = Recipe(steps=1000, rate=0.005)
        model = trained([layer] * 2, task, task.vocabulary, seed, recipe, kernel=3, width=64)
        return {"right": right(model, task)}

    return table_of(options, "selective", members, one)


def parity(options: Options) -> dict[str, Any]:
    """Return the share of right parities at lengths up to that of training; half is chance."""
    members: dict[str, list[Layer]] = {
        "s4d, real": [("s4d", {"states": 16, "init": "real"})] * 2,
        "s4d": [("s4d", {"states": 16})] * 2,
        "mamba": [("mamba", {"states": STATES})] * 2,
    }

    def one(layers: Sequence[Layer], seed: int) -> dict[str, Any]:
        model = trained(layers, Parity(3, 24), 3, seed, Recipe(steps=400, rate=0.005))
        return {"right": at_end(model, 24), "4 times": at_end(model, 96)}

    return table_of(options, "parity", members, one)


def at_end(model: nn.Module, length: int) -> float:
    """Return the share of right parities at the last quarter of a length."""
    inputs, targets = Parity(length, length)(256, torch.Generator().manual_seed(TESTED))
    with torch.no_grad():
        said: Tensor = model(inputs)[0].argmax(-1)
    return float((said == targets)[:, -length // 4 :].float().mean())


def table_of(
    options: Options, part: str, members: Mapping[str, Any], one: Callable[[Any, int], dict[str, Any]]
) -> dict[str, Any]:
    """Return a row for each member: means over seeds of what `one` returns, each cell kept."""
    found = {}
    for name, member in members.items():
        rows = [
            kept(options.cache, f"{part} {name} {seed}", partial(one, member, seed)) for seed in range(options.seeds)
        ]
        found[name] = over_seeds(rows, ("state", "steps"))
    return found
