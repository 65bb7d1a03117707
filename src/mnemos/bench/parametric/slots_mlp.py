"""A datastore of a private corpus and the MLP that it is distilled into: a part of `mnemos bench slots`."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mnemos.bench.parametric.facts import World, make_world
from mnemos.bench.parametric.small_models import Shape, Texts, make_model, statements, train
from mnemos.bench.parametric.spread import kept, over_seeds
from mnemos.parametric.base import NextTokens
from mnemos.parametric.recall.datastore import Datastore
from mnemos.parametric.recall.mlp_memory import DEPTH, MLPMemory, mixed

GENERAL, PRIVATE = 60, 100  # people of the world that the model knows, and of the corpus
STEPS = 300  # of the model
CORPUS = 1500  # sentences; a fact is in it some 7 times, in any of its templates
TEST = 400  # other sentences of the same facts
SHARES = (0.1, 0.25, 0.5, 0.75)  # of the memory, chosen on sentences that are neither in the corpus nor in the test


def measure(options: Any) -> dict[str, dict[str, Any]]:
    """Return perplexities on the private corpus' people, bytes, and milliseconds for a thousand tokens."""
    texts = Texts()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):
        for name, row in kept(options.cells, f"mlp {seed}", partial(one, texts, seed)).items():
            found.setdefault(name, []).append(row)
    return {name: over_seeds(rows, ("bytes", "share")) for name, rows in found.items()}


def one(texts: Texts, seed: int) -> dict[str, dict[str, float]]:
    """Return the figures of one model and corpus."""
    general = make_world(GENERAL, ("home", "work"), seed=2 * seed)
    private = make_world(PRIVATE, ("home", "work"), seed=2 * seed + 1)
    model = make_model(Shape(layers=3), seed)
    train(model, statements(general, texts, 64, seed), STEPS)
    keys, tokens, _ = read(model, private, texts, CORPUS, 1)
    vocabulary = model.config.vocab_size
    store = Datastore(keys, tokens, vocabulary)
    memories: dict[str, NextTokens] = {"datastore": store}
    for name, share in (("MLP memory", 0.5), ("MLP by labels", 0.0)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = MLPMemory(model.config.hidden_size, vocabulary)
        made.distil(store, share, seed=seed)
        memories[name] = made
    tune, test = read(model, private, texts, TEST, 2), read(model, private, texts, TEST, 3)
    rows = {
        "model alone": {
            "perplexity": perplexity(test[2], test[1]),
            "share": 0.0,
            "bytes": 0.0,
            "ms": 0.0,
            "ms_10_times": 0.0,
        }
    }
    larger = Datastore(keys.repeat(10, 1), tokens.repeat(10), vocabulary, temperature=store.temperature)
    for name, memory in memories.items():
        with torch.no_grad():
            on_tune, on_test = memory.log_probabilities(tune[0]), memory.log_probabilities(test[0])
        share = min(SHARES, key=lambda s: perplexity(mixed(tune[2], on_tune, s), tune[1]))
        again = larger if memory is store else memory
        rows[name] = {
            "perplexity": perplexity(mixed(test[2], on_test, share), test[1]), "share": share, "bytes": float(memory.nbytes),
            "ms": milliseconds(memory, test[0][:1000]), "ms_10_times": milliseconds(again, test[0][:1000]),
        }  # fmt: skip
    return rows


def read(model: Any, world: World, texts: Texts, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return hidden states at the depth of the memory, the tokens that follow, and what the model says of them."""
    layer = round(DEPTH * model.config.num_hidden_layers)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    sentences = world.sentences(count, seed)
    for start in range(0, count, 256):
        ids = texts.batch(sentences[start : start + 256])
        with torch.no_grad():
            out = model(ids, use_cache=False, output_hidden_states=True)
        counted = ids[:, 1:] != 0
        said = out.logits[:, :-1][counted].log_softmax(-1)
        parts.append((out.hidden_states[layer][:, :-1][counted], ids[:, 1:][counted], said))
    hidden, tokens, said = (torch.cat([part[i] for part in parts]) for i in range(3))
    return hidden, tokens, said


def perplexity(logs: Tensor, tokens: Tensor) -> float:
    """Return the perplexity of tokens (m,) under logarithms of chances (m, V)."""
    return math.exp(-float(logs.gather(1, tokens[:, None]).double().mean()))


def milliseconds(memory: NextTokens, hidden: Tensor) -> float:
    """Return the processor time that a memory takes for hidden states."""
    with torch.no_grad():
        memory.log_probabilities(hidden[:10])
        began = time.process_time()
        memory.log_probabilities(hidden)
    return 1000 * (time.process_time() - began)
