"""A cartridge: trained keys and values that every layer attends to as if a text had been read, at a fraction of its size.

Cartridges (arXiv 2506.06266) begin as the keys and values of a text's first p tokens and are trained with Adam at 2e-2
to answer as the model that reads the whole text; the first token, to which models attend when there is nothing to attend
to, is frozen. Here they are no part of the cache: each layer adds them while it attends, through transformers' own
registry of attention functions, so that `generate` and caches work as always. In models with rotary positions the keys
stand just before the text's first token, at positions -p to -1; where positions are learned (GPT-2) they have those of a
text that begins at 0. Several cartridges are attended to together, each as it was trained, and their order does not
matter; the paper joins them in the same way.

L layers, H heads of keys, p tokens, D width of a head.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example, Learned
from mnemos.parametric.tokens import prompt_ids
from mnemos.registry import Paper, register

BACKEND = "mnemos-cartridge"  # the name of the attention function
PLACE = "cartridges"  # the attribute of an attention layer that lists what is attached
_LOCK = threading.Lock()


class CartridgeWeights(Learned):
    """Keys and values of p tokens in every layer; those of the first token are not trained."""

    model: Any

    def __init__(self, model: Any, keys: Sequence[Tensor], values: Sequence[Tensor]) -> None:
        super().__init__()
        object.__setattr__(self, "model", model)  # no part of this module: the model is not stored with it
        self.keys = nn.ParameterList(k[:, 1:].clone() for k in keys)  # each (H, p - 1, D)
        self.values = nn.ParameterList(v[:, 1:].clone() for v in values)
        for i, (key, value) in enumerate(zip(keys, values, strict=True)):
            self.register_buffer(f"sink_key_{i}", key[:, :1].clone())
            self.register_buffer(f"sink_value_{i}", value[:, :1].clone())

    def of_layer(self, index: int) -> tuple[Tensor, Tensor]:
        """Return keys and values of a layer, (H, p, D) each."""
        key = torch.cat([getattr(self, f"sink_key_{index}"), self.keys[index]], 1)
        return key, torch.cat([getattr(self, f"sink_value_{index}"), self.values[index]], 1)

    @contextmanager
    def attach(self, model: Any) -> Iterator[None]:
        """Let the model attend to the cartridge inside the context. Several are attended to together."""
        if model is not self.model:
            raise InvalidInput("this cartridge was made beside another model: load its tensors beside this one.")
        modules = attention_layers(model)
        mine = [(i, self) for i in range(len(modules))]
        with _LOCK:
            if any(one is self for _, one in vars(modules[0]).get(PLACE, ())):
                raise InvalidInput("this cartridge is attached already: attach it once.")
            before = model.config._attn_implementation
            if before != BACKEND:
                AttentionInterface.register(BACKEND, _attend)
                AttentionMaskInterface.register(BACKEND, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
                model.set_attn_implementation(BACKEND)
                vars(modules[0])["attended_before"] = before
            for module, entry in zip(modules, mine, strict=True):
                vars(module).setdefault(PLACE, []).append(entry)
        try:
            yield
        finally:
            with _LOCK:
                for module, entry in zip(modules, mine, strict=True):
                    vars(module)[PLACE].remove(entry)
                    if not vars(module)[PLACE]:
                        del vars(module)[PLACE]
                if PLACE not in vars(modules[0]):
                    model.set_attn_implementation(vars(modules[0]).pop("attended_before"))


@register(
    "cartridge",
    papers=(
        Paper(
            "Cartridges: Lightweight and general-purpose long context representations via self-study",
            "2506.06266", "HazyResearch/cartridges",
        ),
    ),
    task="weights",
)  # fmt: skip
@dataclass(frozen=True)
class Cartridge:
    """Holds a memory in trained keys and values that every layer attends to, as if a text had been read.

    It is trained at the rate of its paper, best for what the model expects where it reads the text (`Objective.distil`).
    """

    rate: ClassVar[float] = 2e-2  # the paper's
    tokens: int = 16  # p, of which the first is frozen; fewer where the text has fewer

    def create(self, model: Any, examples: Sequence[Example], tokenizer: Any, seed: int = 0) -> CartridgeWeights:
        """Return the keys and values of the first tokens of what is to be learned: the contexts, else the examples."""
        if self.tokens < 2:
            raise InvalidInput(f"tokens is {self.tokens}: give at least 2, as the first one is not trained.")
        text = "\n".join(dict.fromkeys(e.context or e.prompt + e.answer for e in examples))
        ids = prompt_ids(tokenizer, text)[: self.tokens]
        if len(ids) < 2:
            raise InvalidInput("a cartridge begins as the keys and values of a text: give examples to read.")
        return CartridgeWeights(model, *prefilled(model, ids))

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> CartridgeWeights:
        """Return the cartridge of `Learned.tensors`."""
        keys, values = prefilled(model, [0, 0])
        try:
            p = 1 + tensors["keys.0"].shape[1]
            made = CartridgeWeights(model, *([t[:, :1].repeat(1, p, 1) for t in part] for part in (keys, values)))
            made.load_state_dict(dict(tensors))
        except (KeyError, IndexError, RuntimeError) as error:
            raise InvalidInput(f"these tensors are not those of a cartridge for this model: {error!s:.300}") from error
        return made


@torch.no_grad()  # type: ignore[untyped-decorator]
def prefilled(model: Any, ids: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the keys and values of every layer for tokens that stand before a text, (H, p, D) each, in float32.

    Raises InvalidInput for a model whose attention cannot be chosen, or that keeps something else than keys and values.
    """
    if not getattr(model, "_supports_attention_backend", False):
        raise InvalidInput(f"{type(model).__name__} does not support other attention functions: use another carrier.")
    n = len(ids)
    rotary = any("rotary" in name for name, _ in model.named_modules())
    positions = torch.arange(n, device=model.device)[None] - (n if rotary else 0)
    cache = model(
        torch.tensor([list(ids)], device=model.device), position_ids=positions, use_cache=True
    ).past_key_values
    layers = getattr(cache, "layers", ())
    kept: list[Any] = [(getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in layers]
    if (
        not kept
        or any(k is None or k.ndim != 4 or k.shape[2] != n for k, _ in kept)
        or len(kept) != len(attention_layers(model))
    ):
        raise InvalidInput(
            f"not every layer of {type(model).__name__} keeps keys and values of all tokens: use another carrier."
        )
    return [k[0].float() for k, _ in kept], [v[0].float() for _, v in kept]


def attention_layers(model: Any) -> list[Any]:
    """Return the attention layers of a model in their order."""
    found = {
        m.layer_idx: m
        for m in model.modules()
        if "Attention" in type(m).__name__ and getattr(m, "layer_idx", None) is not None
    }
    return [found[i] for i in sorted(found)]


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Attend to the cartridges of a layer and to the text, (B, H, T, D), as a mask of the text allows."""
    parts = [one.of_layer(i) for i, one in vars(module).get(PLACE, ())]
    if parts:
        width, read, asked = sum(k.shape[1] for k, _ in parts), key.shape[2], query.shape[2]
        if attention_mask is None and asked > 1:
            seen = torch.ones(asked, read, dtype=torch.bool, device=key.device).tril(read - asked)
            attention_mask = seen[None, None]
        if attention_mask is not None:
            free = attention_mask.new_full((*attention_mask.shape[:-1], width), attention_mask.dtype == torch.bool)
            attention_mask = torch.cat([free, attention_mask[..., :read]], -1)
        key, value = (
            torch.cat([*(p[i].to(own.dtype).expand(own.shape[0], -1, -1, -1) for p in parts), own], 2)
            for i, own in enumerate((key, value))
        )
    out: tuple[Tensor, Tensor | None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return out
