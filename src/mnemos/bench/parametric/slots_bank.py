"""Facts of topics in a tree of blocks: a part of `mnemos bench slots`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from mnemos.bench.parametric.facts import Fact, World, make_world
from mnemos.bench.parametric.small_models import Shape, Texts, make_model
from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.parametric.base import Example
from mnemos.parametric.recall.bank import BankWeights, ColdBank, HierarchicalBank

PEOPLE, TOPICS, ZIPF = 160, 16, 0.7
STEPS, ROWS, RATE = 250, 48, 3e-3
OPENING = 9  # tokens of the sentence that opens a topic's documents
BANK = HierarchicalBank(branching=4, depth=2, units=32, depths=(0.0, 1.0), opening=OPENING)
SHARED = HierarchicalBank(branching=1, depth=1, units=64, depths=(0.0, 1.0), opening=OPENING)  # the units of one path


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Train models with a bank, with one block of a path's size, and without; return what they know of topics."""
    texts = Texts()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        world = make_world(PEOPLE, ("home", "work"), values=128, topics=TOPICS, zipf=ZIPF, seed=seed)
        for name, row in kept(options.cells, f"bank {seed}", partial(one, world, texts, seed)).items():
            found.setdefault(name, []).append(row)
    return {name: over_seeds(rows, ("bytes_loaded", "bytes_kept")) for name, rows in found.items()}


def one(world: World, texts: Texts, seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of one world by what is fetched."""
    rows: dict[str, dict[str, float]] = {}
    openings = [Example(world.opening(topic), "") for topic in range(TOPICS)]
    for name, knobs in (("own path", BANK), ("one shared block", SHARED), ("no bank", None)):
        model = make_model(Shape(inner=64), seed)
        bank = knobs.create(model, openings, texts.tokenizer, seed) if knobs else None
        fit(model, bank, world, texts, seed)
        with ExitStack() as stack:
            if bank is not None:
                stack.enter_context(bank.attach(model))
            rows[name] = figures(model, world, texts)
        if bank is not None:
            per_path = sum(p[0].numel() * 4 for parts in (bank.keys, bank.values) for p in parts)
            rows[name] |= {"bytes_loaded": per_path, "bytes_kept": bank.nbytes}
        else:
            rows[name] |= {"bytes_loaded": 0, "bytes_kept": 0}
        if name == "own path" and bank is not None:
            rows |= others(model, bank, world, texts, rows[name])
    return rows


def others(
    model: Any, bank: BankWeights, world: World, texts: Texts, own: dict[str, float]
) -> dict[str, dict[str, float]]:
    """Return the figures with a wrong path, from disk, and with one leaf removed."""
    ids = texts.batch([world.opening(topic) for topic in range(TOPICS)])
    leaves = [int(path[-1]) for path in bank.route(model, ids)]
    rows = {}
    with bank.attach(model), bank.fixed(far(bank, leaves[0])):
        wrong = [f for f in world.facts if f.topic == 0 or leaves[f.topic] == leaves[0]]
        rows["wrong path"] = figures(model, world, texts, wrong) | {k: own[k] for k in ("bytes_loaded", "bytes_kept")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bank.safetensors"
        save_file(bank.tensors(), file)
        cold = ColdBank(BANK, model, file, warm=1)
        with cold.attach(model):
            known(model, [f for f in world.facts if f.topic == 0][:1], world, texts)
            read = cold.bytes_read
            rows["own path, leaves on disk"] = figures(model, world, texts) | {
                "bytes_loaded": read + cold.bytes_hot // BANK.branching, "bytes_kept": own["bytes_kept"]
            }  # fmt: skip
    inside = [f for f in world.facts if leaves[f.topic] == leaves[0]]
    outside = [f for f in world.facts if leaves[f.topic] != leaves[0]]
    with bank.attach(model):
        before = known(model, outside, world, texts)
        bank.remove(leaves[0])
        after = known(model, outside, world, texts)
        rows["one leaf removed, its facts"] = figures(model, world, texts, inside) | {
            "bytes_loaded": 0,
            "bytes_kept": 0,
        }
    rows["one leaf removed, other facts"] = {
        "rare": mean(after, outside, world, rare=True), "common": mean(after, outside, world, rare=False),
        "bytes_loaded": own["bytes_loaded"], "bytes_kept": own["bytes_kept"],
        "facts_that_changed": float((before != after).sum()),
    }  # fmt: skip
    return rows


def far(bank: BankWeights, leaf: int) -> list[int]:
    """Return the path to a leaf under another node of the first level than a leaf's."""
    other = (leaf + BANK.branching) % len(bank.values[-1])
    return [other // BANK.branching, other]


def figures(model: Any, world: World, texts: Texts, facts: Sequence[Fact] | None = None) -> dict[str, float]:
    """Return the shares of rare and of common facts that are known."""
    facts = list(world.facts if facts is None else facts)
    right = known(model, facts, world, texts)
    return {"rare": mean(right, facts, world, rare=True), "common": mean(right, facts, world, rare=False)}


def mean(right: Tensor, facts: Sequence[Fact], world: World, rare: bool) -> float:
    """Return the mean over the facts of the rarer half of people, or of the others."""
    of = torch.tensor([(fact.rank >= PEOPLE // 2) == rare for fact in facts])
    return float(right[of].double().mean())


def fit(model: Any, bank: BankWeights | None, world: World, texts: Texts, seed: int) -> None:
    """Train a model and its bank together on documents."""
    weights = [*model.parameters(), *(bank.parameters() if bank is not None else ())]
    optimizer = torch.optim.AdamW(weights, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    drawn = documents(world, texts, seed)
    model.train()
    with ExitStack() as stack:
        if bank is not None:
            stack.enter_context(bank.attach(model))
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 50) * min(1.0, 2 * (1 - step / STEPS))
            ids = next(drawn)
            logits = model(ids, attention_mask=(ids != 0).long(), use_cache=False).logits[:, OPENING - 1 : -1]
            functional.cross_entropy(logits.flatten(0, 1), ids[:, OPENING:].flatten(), ignore_index=0).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    model.eval()


def documents(world: World, texts: Texts, seed: int) -> Iterator[Tensor]:
    """Yield batches of documents of one fact each."""
    at = 0
    while True:
        yield texts.batch([text for _, text in world.documents(ROWS, 1, seed * 1_000_003 + at)])
        at += 1


def known(model: Any, facts: Sequence[Fact], world: World, texts: Texts) -> Tensor:
    """Tell of each fact whether its value follows its prompt, after the sentence that opens its topic."""
    right = []
    for start in range(0, len(facts), 256):
        part = facts[start : start + 256]
        prompts = [f"{world.opening(fact.topic)} {fact.prompt()}" for fact in part]
        ids = texts.batch([prompt + fact.answer for prompt, fact in zip(prompts, part, strict=True)])
        with torch.no_grad():
            best = model(ids, attention_mask=(ids != 0).long(), use_cache=False).logits.argmax(-1)[:, :-1]
        begins = torch.tensor([len(texts.ids(prompt)) for prompt in prompts])
        asked = (torch.arange(1, ids.shape[1]) >= begins[:, None]) & (ids[:, 1:] != 0)
        right.append(((best == ids[:, 1:]) | ~asked).all(1))
    return torch.cat(right)
