"""What a cache does on a model of a family, beside transformers' own cache in the same type; see `families`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.plain import Drop, plain
from mnemos.activation.presets import all_presets, get_preset
from mnemos.bench.kv.family_cells import Cell, Options
from mnemos.bench.kv.family_models import FAMILIES, VOCABULARY
from mnemos.bench.progress import Progress
from mnemos.errors import InvalidInput

CALLS = (24, 1, 6, 1)  # tokens read at once
TOKENS, PADDED = sum(CALLS), 5
SAME = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 8e-2}  # of the largest logit: rounding
NEAR = 0.5  # the error of what rounds on purpose; a cache that held nothing had .65 and more
ATTENTION = ("sdpa", "eager", "flex_attention")  # what the model was set to before
PADDINGS = ("none", "left", "right")
GREEDY = {"do_sample": False, "pad_token_id": 0, "eos_token_id": None}


def texts() -> Tensor:
    """Return two texts of `TOKENS` tokens."""
    return torch.randint(3, VOCABULARY, (2, TOKENS), generator=torch.Generator().manual_seed(1))


def mask_of(padding: str) -> Tensor | None:
    """Return the attention mask: the first row begins with padding, or its prompt ends in it."""
    mask = torch.ones(2, TOKENS, dtype=torch.long)
    if padding == "left":
        mask[0, :PADDED] = 0
    elif padding == "right":
        mask[0, CALLS[0] - PADDED : CALLS[0]] = 0
    else:
        return None
    return mask


def logits(model: Any, cache: Any, mask: Tensor | None = None) -> Tensor:
    """Return the logits of both texts, read by `CALLS`, (2, T, V) in float32."""
    ids, found, at = texts(), [], 0
    for count in CALLS:
        end, more = at + count, {}
        if mask is not None:
            positions = (mask[:, :end].cumsum(1) - 1).clamp(min=0)[:, at:end]
            more = {"attention_mask": mask[:, :end], "position_ids": positions}
        found.append(model(ids[:, at:end], past_key_values=cache, **more).logits.float())
        at = end
    return torch.cat(found, 1)


def cell(run: Callable[[], Cell]) -> Cell:
    """Return what a run found; a refusal is one with a reason, any other error is a failure."""
    try:
        return run()
    except InvalidInput as error:
        return {"outcome": "refused", "why": str(error)}
    except Exception as error:  # any other is what the matrix looks for
        return {"outcome": "failed", "why": f"{type(error).__name__}: {error}"[:200]}


def compared(found: Tensor, expected: Tensor, mask: Tensor | None, same: float, near: float = 0.0) -> Cell:
    """Return whether logits are the same, near enough for a method that rounds, or wrong. Padding is not compared."""
    seen = slice(None) if mask is None else mask.bool()
    error = float((found - expected)[seen].abs().max() / expected[seen].abs().max())
    outcome = "exact" if error <= same else "near" if error <= near else "wrong"
    return {"outcome": outcome, "error": float(f"{error:.1e}")}


class Family:
    """A model in one type, and what it says with transformers' own cache."""

    def __init__(self, name: str, dtype: str) -> None:
        self.dtype = dtype
        self.model = FAMILIES[name]().to(getattr(torch, dtype))
        self._expected: dict[str, Tensor] = {}
        self.full_bytes = 1  # of a cache without a method

    def expected(self, padding: str) -> Tensor:
        """Return the logits with transformers' own cache and its plainest attention."""
        if padding not in self._expected:
            before = self.model.config._attn_implementation
            self.model.set_attn_implementation("eager")
            own = DynamicCache(config=self.model.config)
            self._expected[padding] = logits(self.model, own, mask_of(padding))
            self.model.set_attn_implementation(before)
        return self._expected[padding]

    def cache(self, attention: str, padding: str) -> Cell:
        """Return the cell of the cache without a method, on a model that was set to an attention function."""
        before = self.model.config._attn_implementation

        def run() -> Cell:
            cache, mask = MemoryCache(self.model), mask_of(padding)
            try:
                self.model.set_attn_implementation(attention)
            except ValueError:
                return {"outcome": "refused", "why": f"transformers has no {attention} for this model"}
            with attached(self.model):
                found = logits(self.model, cache, mask)
            self.full_bytes = cache.nbytes
            if self.model.config._attn_implementation != attention:
                return {"outcome": "wrong", "why": "the model does not attend as before"}
            return compared(found, self.expected(padding), mask, SAME[self.dtype])

        try:
            return cell(run)
        finally:
            self.model.set_attn_implementation(before)

    def method(self, name: str, padding: str) -> dict[str, Cell]:
        """Return the cells of a preset: with a budget for everything, and with a quarter."""
        return {
            "all": cell(partial(self._with_all, name, padding)),
            "quarter": cell(partial(self._with_quarter, name, padding)),
        }

    def _with_all(self, name: str, padding: str) -> Cell:
        method: CacheMethod = get_preset(name).at_share(1.0)
        rounds = method.store is not plain or not isinstance(method.on_evict, Drop)
        if not rounds:  # its own share may be taken of something else, such as of the window's size
            method = replace(method, prompt=None if method.prompt is None else TOKENS,
                             decode=None if method.decode is None else 2 * TOKENS)  # fmt: skip
        mask = mask_of(padding)
        with attached(self.model):
            found = logits(self.model, MemoryCache(self.model, method), mask)
        near = NEAR if rounds else 0.0
        return compared(found, self.expected(padding), mask, SAME[self.dtype], near)

    def _with_quarter(self, name: str, padding: str) -> Cell:
        cache = MemoryCache(self.model, get_preset(name).at_share(0.25))
        with attached(self.model):
            found = logits(self.model, cache, mask_of(padding))
        if not bool(torch.isfinite(found).all()):
            return {"outcome": "wrong", "why": "logits that are no numbers"}
        return {"outcome": "holds", "held": round(cache.nbytes / self.full_bytes, 2)}

    def uses(self) -> dict[str, Cell]:
        """Return the cells of what is done with a cache: turns, beams, drafts, going back, copies, chunks, compilation."""
        return {name: cell(partial(use, self.model)) for name, use in USES.items()}


def _same(found: Tensor, expected: Tensor) -> Cell:
    return {"outcome": "exact" if torch.equal(found, expected) else "wrong"}


def _turns(model: Any) -> Cell:
    """Three turns of one conversation, each generated behind the cache of the one before."""
    own, cache = DynamicCache(config=model.config), MemoryCache(model)
    said = [texts()[:1, :16]] * 2
    for turn in range(3):
        more = {"max_new_tokens": 4, "attention_mask": torch.ones_like(said[0]), **GREEDY}
        said[0] = model.generate(said[0], past_key_values=own, **more)
        with attached(model):
            said[1] = model.generate(said[1], past_key_values=cache, **more)
        said = [torch.cat((tokens, texts()[1:, 4 * turn : 4 * turn + 4]), 1) for tokens in said]
    return _same(said[1], said[0])


def _generated(model: Any, **options: Any) -> Cell:
    more = {"max_new_tokens": 8, **GREEDY, **options}
    expected = model.generate(texts()[:1], **more)
    with attached(model):
        return _same(model.generate(texts()[:1], past_key_values=MemoryCache(model), **more), expected)


def _drafted(model: Any) -> Cell:
    """Drafts taken from the prompt: most are rejected, so the cache goes back again and again."""
    expected = model.generate(texts()[:1], max_new_tokens=8, **GREEDY)
    more = {"max_new_tokens": 8, "prompt_lookup_num_tokens": 3, **GREEDY}
    with attached(model):
        return _same(model.generate(texts()[:1], past_key_values=MemoryCache(model), **more), expected)


def _went_back(model: Any) -> Cell:
    cache, other = MemoryCache(model), MemoryCache(model)
    with attached(model):
        cache.activate_past_recording()
        model(texts(), past_key_values=cache)
        cache.crop(-10)
        model(texts()[:, :-10], past_key_values=other)
        found, expected = (model(texts()[:, -10:], past_key_values=c).logits.float() for c in (cache, other))
    return compared(found, expected, None, SAME["float32"])


def _in_chunks(model: Any) -> Cell:
    whole = read(model, texts(), MemoryCache(model))
    return compared(read(model, texts(), MemoryCache(model), chunk=7), whole, None, SAME["float32"])


def _static(model: Any) -> Cell:
    """A static cache of transformers inside `attached` is used as it is outside."""
    more = {"max_new_tokens": 4, "cache_implementation": "static", "disable_compile": True, **GREEDY}
    expected = model.generate(texts()[:1], **more)
    with attached(model):
        return _same(model.generate(texts()[:1], **more), expected)


USES: dict[str, Callable[[Any], Cell]] = {
    "three turns": _turns,
    "beams": partial(_generated, num_beams=3),
    "drafts": _drafted,
    "going back": _went_back,
    "in chunks": _in_chunks,
    "static cache": _static,
}


def measure(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the cells of the families. Raises NotFound for an unknown preset, InvalidInput for an unknown family."""
    methods = list(options.methods or all_presets())
    for name in methods:
        get_preset(name)
    names = list(options.families or FAMILIES)
    if unknown := [name for name in names if name not in FAMILIES]:
        raise InvalidInput(f"there is no family {unknown[0]!r}: choose from {', '.join(FAMILIES)}.")
    progress.expect(len(names))
    found: dict[str, Any] = {}
    if options.add_to is not None:
        found = json.loads(options.add_to.read_text(encoding="utf-8"))["families"]
    for name in names:
        earlier = found.get(name, {}).get("methods", {})
        found[name] = _family(name, methods)
        if found[name]["methods"]:
            found[name]["methods"] = earlier | found[name]["methods"]
        progress(1)
    return found


def _family(name: str, methods: list[str]) -> dict[str, Any]:
    types = {dtype: Family(name, dtype) for dtype in SAME}
    cache = {
        dtype: {
            attention: {padding: family.cache(attention, padding) for padding in PADDINGS} for attention in ATTENTION
        }
        for dtype, family in types.items()
    }
    if cache["float32"]["sdpa"]["none"]["outcome"] == "refused":  # of a whole family: no method needs to be asked
        return {"cache": cache, "methods": {}, "uses": types["float32"].uses()}
    return {
        "cache": cache,
        "uses": types["float32"].uses(),
        "methods": {
            method: {
                dtype: {
                    padding: family.method(method, padding)
                    for padding in PADDINGS
                    if padding == "none" or dtype == "float32"
                }
                for dtype, family in types.items()
            }
            for method in methods
        },
    }
