"""Predictions against measurements: bytes of training, caches and activations, seconds of prompts and tokens, and tiers.

Bytes are those of tensors, and of what savers are given. Seconds are the processor's, of decoders with random weights that are
larger than its caches, on one thread: the rates of the machine are measured in between. `off` is how far a prediction is from
what was measured.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mnemos.activation.compress.tier import GROUP, Tier
from mnemos.bench.footprint import shakespeare
from mnemos.bench.footprint.letters import Letters
from mnemos.bench.footprint.running import Options
from mnemos.bench.parametric.spread import over_seeds
from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.activations.in_memory import InMemory
from mnemos.footprint.activations.recomputed import Recomputed
from mnemos.footprint.generate.base import read
from mnemos.footprint.measure import return_freed_memory
from mnemos.footprint.plan.bytes_of import CacheBytes, TrainingBytes
from mnemos.footprint.plan.kept import kept_bytes
from mnemos.footprint.plan.roofline import Machine, Roofline, Shape
from mnemos.footprint.plan.tiers import Tiers
from mnemos.footprint.weights.files import Drive
from mnemos.footprint.weights.paged_weights import PagedWeights

TOKENS, ROUNDS, WIDE = 96, 3, 768
FORMS = {"MHA": 8, "GQA, 2 of 8 heads": 2, "MQA": 1}


def _row(predicted: float, measured: float) -> dict[str, float]:
    return {"predicted": predicted, "measured": measured, "off %": abs(predicted / measured - 1)}


def decoder(layers: int, width: int, kv_heads: int, heads: int = 8, vocabulary: int = 256) -> Any:
    """Return a Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=16384, tie_word_embeddings=False,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def latent_decoder() -> Any:
    """Return a decoder with latents in the place of keys and values (MLA), and random weights."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    torch.manual_seed(0)
    config = DeepseekV3Config(
        vocab_size=256, hidden_size=128, intermediate_size=256, moe_intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=8, num_key_value_heads=8, kv_lora_rank=32, q_lora_rank=None, qk_rope_head_dim=8, qk_nope_head_dim=16,
        v_head_dim=16, first_k_dense_replace=3, n_routed_experts=4, n_group=1, topk_group=1, num_experts_per_tok=2,
    )  # fmt: skip
    return DeepseekV3ForCausalLM(config).eval().requires_grad_(False)


def measure(options: Options) -> dict[str, Row]:
    """Return the rows about bytes, in kB."""
    text = Letters(options.data)
    model = shakespeare.untrained(shakespeare.LARGE, text.count, 0)
    ids = text.batch(8, 128, 0)
    rows = {}
    adam = torch.optim.AdamW(model.parameters())
    shakespeare.loss_of(model, ids).backward()
    adam.step()
    weights = list(model.parameters())
    held = [*weights, *(p.grad for p in weights), *(t for s in adam.state.values() for t in s.values() if t.ndim)]
    rows["training: weights, gradients, Adam"] = (
        TrainingBytes(sum(p.numel() for p in weights)).predict().nbytes,
        _size(held),
    )
    model.zero_grad()
    for name, methods in {"": (), ", layers computed again": (Recomputed(),)}.items():
        with attached(model, *methods):
            counted = kept_bytes(model, ids, run=shakespeare.loss_of).kept
        with attached(model, *methods, InMemory()) as usage:
            shakespeare.loss_of(model, ids)
        rows[f"activations{name}"] = counted, usage.peak_plain
    for name, kv_heads in FORMS.items():
        small = decoder(3, 256, kv_heads)
        rows[f"cache: {name}"] = CacheBytes.of(small.config, bits=32, tokens=TOKENS).predict().nbytes, _cache(small)
        if name == "MHA":
            rows["cache: MHA, 4 bits"] = _quantised(small)
    latent = latent_decoder()
    rows["cache: MLA"] = CacheBytes.of(latent.config, bits=32, tokens=TOKENS).predict().nbytes, _cache(latent)
    return {name: _row(predicted / 1000, measured / 1000) for name, (predicted, measured) in rows.items()}


def _size(tensors: list[Tensor]) -> int:
    return sum(t.nbytes for t in tensors)


def _ids() -> Tensor:
    return torch.arange(TOKENS) % 256


def _cache(model: Any) -> int:
    with torch.no_grad():
        return _size([t for layer in read(model, _ids()).layers for t in (layer.keys, layer.values)])


def _quantised(model: Any) -> tuple[int, int]:
    """Return the predicted and the measured bytes of a cache in four bits."""
    with torch.no_grad():
        tiers = [Tier.of(layer.keys, layer.values, 4) for layer in read(model, _ids()).layers]
    predicted = CacheBytes.of(model.config, bits=4, group=GROUP, tokens=TOKENS).predict().nbytes
    return predicted, sum(tier.nbytes for tier in tiers)


def seconds(options: Options) -> dict[str, Row]:
    """Return the rows about prompts and tokens, in ms."""
    found: dict[str, list[dict[str, float]]] = {}
    predicted, measured = [], []
    return_freed_memory()  # from here on each large tensor is new memory, as when it is measured what copying takes
    for _ in range(options.seeds):
        nothing = _token(decoder(4, 16, 2, 2), 16) / 4  # of a layer that is hardly wide
        for layers in (2, 4, 8):
            model = decoder(layers, WIDE, 8)
            machine, shape = Machine.measured(nothing, WIDE), Shape.of(model)
            for prompt in (128, 512):
                ids = torch.zeros(1, prompt, dtype=torch.int64)
                row = _row(1e3 * Roofline(shape, machine).passed(prompt, 0)[0], 1e3 * _least(partial(model, ids)))
                found.setdefault(f"prompt of {prompt}, {layers} layers", []).append(row)
            for entries in (64, 1024, 4096):
                row = _row(1e3 * Roofline(shape, machine).passed(1, entries)[0], 1e3 * _token(model, entries))
                found.setdefault(f"token behind {entries:,}, {layers} layers", []).append(row)
                predicted.append(row["predicted"])
                measured.append(row["measured"])
    rows = {name: over_seeds(of_seeds) for name, of_seeds in found.items()}
    for row in rows.values():
        row["off %"] = abs(row["predicted"] / row["measured"] - 1)
        row.pop("off %_sd", None)
    explained = float(torch.corrcoef(torch.tensor([predicted, measured]))[0, 1]) ** 2
    return rows | {"all tokens": {"explained %": explained}}


def _token(model: Any, entries: int) -> float:
    """Return the seconds of a token behind a cache of random entries."""
    shape = (1, model.config.num_key_value_heads, entries, model.config.head_dim)
    held = [(torch.randn(shape), torch.randn(shape)) for _ in model.model.layers]

    def pass_() -> object:
        cache = read(model, torch.zeros(0, dtype=torch.int64))
        for number, (keys, values) in enumerate(held):
            cache.layers[number].lazy_initialization(keys, values)
            cache.layers[number].keys, cache.layers[number].values = keys, values
        return model(torch.zeros(1, 1, dtype=torch.int64), past_key_values=cache, use_cache=True)

    return _least(pass_)


def _least(work: Any) -> float:
    found = []
    with torch.no_grad():
        for _ in range(ROUNDS + 1):
            started = time.process_time()
            work()
            found.append(time.process_time() - started)
    return min(found)


def tiers(options: Options) -> dict[str, Row]:
    """Return the rows about weights on disk: tokens a second by memory and number of sequences.

    The disk is one of 200 MB/s. A second is one of waiting for it, or of the processor.
    """
    model, entries, layers = decoder(8, 512, 8), 256, 8
    drive = Drive(bandwidth=2e8)
    layer = sum(p.nbytes for p in model.model.layers[0].parameters())
    cache = CacheBytes.of(model.config, bits=32, tokens=entries).predict().nbytes
    one, eight = (_least(partial(_batch, model, n, entries)) for n in (1, 8))
    each = (eight - one) / 7
    pages = PagedWeights(share=2 / layers, disk=drive)
    with torch.no_grad(), attached(model, pages):
        began = time.process_time()
        waited = pages.reads.seconds
        _batch(model, 1, entries)
        copying = (
            time.process_time() - began - one
        ) / layers  # the processor's part of a read, which is in the wait too
        reading = (pages.reads.seconds - waited) / layers
    rows: dict[str, Row] = {}
    for memory in (60, 90, 130):
        found = {}
        for batch in (1, 2, 4, 8):
            planned = Tiers(layer, layers, memory * 10**6, layer / reading, one - each, each, batch=batch, cache=cache)
            if planned.memory - batch * cache < layer:
                continue
            share = min(1.0, (planned.memory - batch * cache) / (layers * layer))
            pages = PagedWeights(share=share, disk=drive, pinned=True)
            with torch.no_grad(), attached(model, pages):
                _batch(model, batch, entries)
                runs = []
                for _ in range(ROUNDS):
                    before, began, loads = pages.reads.seconds, time.process_time(), pages.loads
                    _batch(model, batch, entries)
                    spent = time.process_time() - began - (pages.loads - loads) * max(0.0, copying)
                    runs.append(pages.reads.seconds - before + spent)
            found[batch] = _row(planned.throughput, batch / min(runs))
            rows[f"{memory} MB, {batch} sequences"] = found[batch]
        best = {by: max(found, key=lambda batch: found[batch][by]) for by in ("predicted", "measured")}
        rows[f"{memory} MB: best number of sequences"] = {by: float(batch) for by, batch in best.items()}
    return rows


def _batch(model: Any, batch: int, entries: int) -> object:
    """Compute a token of some sequences, behind entries of zeros."""
    cache = read(model, torch.zeros(0, dtype=torch.int64))
    zeros = torch.zeros(batch, model.config.num_key_value_heads, entries, model.config.head_dim)
    for layer in cache.layers:
        layer.lazy_initialization(zeros, zeros)
        layer.keys = layer.values = zeros
    return model(torch.zeros(batch, 1, dtype=torch.int64), past_key_values=cache, use_cache=True)
