"""What a token costs behind a compressed context, against the full cache in the same run: part of `kv-speed`.

A context of random tokens is put into a cache as it stands, its last `TAIL` tokens are read as the end of the prompt,
the preset compresses, and `steps` tokens are decoded: enough for a block of evictions. What is held, and so what a token
costs, does not depend on the words. Times are those of the processor. The full cache takes turns with each preset.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mnemos.bench.registry import Rows
from mnemos.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

    from mnemos.activation.cache import MemoryCache

TAIL = 64  # tokens at the end of the prompt whose queries are looked at
TURN = 4  # tokens of the full cache before and after those of a preset


def token_costs(
    model: Any,
    contexts: Sequence[int],
    share: float,
    steps: int,
    seed: int,
    names: Sequence[str],
    done: Callable[[], None],
) -> list[dict[str, Any]]:
    """Return a row for each context and preset of `names`: ms a token, the full cache's, and the share of bytes held."""
    import torch

    from mnemos.activation.presets import get_preset

    rows = []
    for context in contexts:
        rng = torch.Generator().manual_seed(seed)
        vectors = _vectors(model, context, rng)
        full = _compressed(model, vectors, None)
        whole = full.nbytes
        for name in names:
            done()
            try:
                cache = _compressed(model, vectors, get_preset(name).at_share(share))
            except InvalidInput:
                continue
            held = cache.nbytes / whole
            before = _decode(model, full, TURN, rng)
            mine = _decode(model, cache, steps, rng)
            theirs = min(before, _decode(model, full, TURN, rng))
            full.crop(-2 * TURN)
            row = {"context": context, "preset": name, "token_ms": round(mine, 2), "full_ms": round(theirs, 2)}
            rows.append(row | {"times_full": round(mine / theirs, 2), "held": round(held, 4)})
    return rows


def reading_costs(model: Any, tokens: int, share: float, seed: int, done: Callable[[], None]) -> list[dict[str, Any]]:
    """Return how long each preset takes to read a prompt, in times of the full cache (the least before and after)."""
    import torch

    from mnemos.activation import MemoryCache, attached
    from mnemos.activation.presets import all_presets

    ids = torch.randint(3, 1_000, (1, tokens), generator=torch.Generator().manual_seed(seed))

    def read(method: Any) -> float:
        cache = MemoryCache(model, method)
        with attached(model):
            start = time.process_time()
            model(ids, past_key_values=cache, logits_to_keep=1)
            return time.process_time() - start

    rows, full = [], read(None)
    for name, preset in all_presets().items():
        done()
        mine, after = read(preset.at_share(share)), read(None)
        rows.append({"preset": name, "read_s": round(mine, 3), "times_full": round(mine / min(full, after), 2)})
        full = after
    return rows


def _vectors(model: Any, count: int, rng: Any) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return random hidden states of each layer with the keys and values that the layer makes of them."""
    import torch

    from mnemos.activation.models import attention_modules
    from mnemos.activation.rotary import Rotary

    rotary, made = Rotary(model), []
    for module in attention_modules(model).values():
        states = torch.randn(1, count - TAIL, module.k_proj.in_features, generator=rng).to(model.dtype)
        keys, values = (
            p(states).unflatten(-1, (-1, module.head_dim)).transpose(1, 2) for p in (module.k_proj, module.v_proj)
        )
        made.append((states, rotary.shift(keys, torch.arange(count - TAIL)), values.contiguous()))
    return made


def _compressed(model: Any, vectors: list[tuple[Tensor, Tensor, Tensor]], method: Any) -> MemoryCache:
    """Return a cache that has read a context of these vectors and a tail, and has compressed it."""
    import torch

    from mnemos.activation import MemoryCache, attached
    from mnemos.activation.entries import Entries

    cache = MemoryCache(model, method)
    count = vectors[0][1].shape[2]
    tail = torch.arange(3, 3 + TAIL)[None]
    if cache.needs_tokens:
        cache.record_tokens(torch.arange(count)[None] % 900)
    for layer, (states, keys, values) in zip(cache.layers, vectors, strict=True):
        group = layer.groups[0]
        if group.hidden is not None:
            group.hidden.put_hidden_states(states)
        group.store.put(Entries(keys.clone(), values.clone()))
        layer.tokens_read, layer.is_initialized = count, True
    with attached(model):
        model(tail, past_key_values=cache)
    return cache


def _decode(model: Any, cache: MemoryCache, steps: int, rng: Any) -> float:
    """Return the milliseconds of the processor that a token takes, the mean of `steps`."""
    import torch

    from mnemos.activation import attached

    ids = torch.randint(3, 900, (1, steps), generator=rng)
    with attached(model):
        start = time.process_time()
        for at in range(steps):
            model(ids[:, at : at + 1], past_key_values=cache)
        return 1e3 * (time.process_time() - start) / steps


def cost_table(rows: Sequence[dict[str, Any]], reading: Sequence[dict[str, Any]] = ()) -> Rows:
    """Return a line for each preset: what a token costs at each context, what is held, and what reading costs."""
    contexts = sorted({row["context"] for row in rows})
    heads = [cell for context in contexts for cell in (f"a token behind {context:,}, ms", "times full")]
    lines: Rows = [["", *heads, "held", *(["reading, times full"] if reading else [])]]
    read = {row["preset"]: f"{row['times_full']:.1f}" for row in reading}
    for name in sorted({row["preset"] for row in rows}):
        own = {row["context"]: row for row in rows if row["preset"] == name}
        cells = [
            cell
            for context in contexts
            for cell in (
                (f"{own[context]['token_ms']:.1f}", f"{own[context]['times_full']:.2f}")
                if context in own
                else ("–", "–")
            )
        ]
        last = own[max(own)]
        lines.append([name, *cells, f"{last['held']:.3f}", *([read.get(name, "–")] if reading else [])])
    full = {c: min(row["full_ms"] for row in rows if row["context"] == c) for c in contexts}
    lines.append(
        [
            "full cache",
            *(cell for c in contexts for cell in (f"{full[c]:.1f}", "1.00")),
            "1.000",
            *(["1.0"] if reading else []),
        ]
    )
    return lines
