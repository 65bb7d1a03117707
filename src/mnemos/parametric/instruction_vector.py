"""The vector by which a model's attention heads say what is asked: it is found by patching, and can be added again (2406.12227).

Fine-tuning on one instruction may lay new routes over old ones without removing these: what the heads added to the last token of
a prompt before the tuning, added again after it, brings a skill back that seemed lost. The model is a decoder of transformers
with `model.layers` of `self_attn.o_proj`. B prompts, L layers, H heads, D width of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.feedforward import inputs_of, outputs_of


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def head_means(model: Any, prompts: Tensor) -> Tensor:
    """Return what each head reads into its output projection at the last token, (L, H, D / H), mean of prompts (B, T)."""
    seen: list[Tensor] = []

    def read(states: Tensor) -> None:
        seen.append(states[:, -1].mean(0).view(heads_of(model), -1))

    with ExitStack() as stack:
        for projection in projections(model):
            stack.enter_context(inputs_of(projection, read))
        model(input_ids=prompts, use_cache=False)
    return torch.stack(seen)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def head_effects(model: Any, prompts: Tensor, answers: Tensor, broken: Tensor) -> Tensor:
    """Return by how many nats each head (L, H) makes the answers (B,) likelier where the instruction is wrong.

    `prompts` (B, T) have the instruction, `broken` (B, T) another in its place: what a head says of the former on average is put
    in the place of what it says of the latter, one head at a time. Costs L * H passes.
    """
    means, effects = head_means(model, prompts), []
    wanted = answers[:, None]
    before = model(input_ids=broken, use_cache=False).logits[:, -1].log_softmax(-1).gather(1, wanted).mean()
    for layer, projection in enumerate(projections(model)):
        for head in range(heads_of(model)):
            with inputs_of(projection, _patch(head, means[layer, head])):
                said = model(input_ids=broken, use_cache=False).logits[:, -1].log_softmax(-1)
            effects.append(said.gather(1, wanted).mean() - before)
    return torch.stack(effects).view(-1, heads_of(model))


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def instruction_vector(model: Any, prompts: Tensor, effects: Tensor, heads: int) -> Tensor:
    """Return the sum (D,) of what the `heads` with the largest effects (L, H) add to the last token of prompts, on average."""
    means = head_means(model, prompts)
    chosen = effects.flatten().topk(heads).indices.tolist()
    found = []
    for layer, head in (divmod(at, effects.shape[1]) for at in chosen):
        width = means.shape[2]
        found.append(projections(model)[layer].weight[:, head * width : (head + 1) * width] @ means[layer, head])
    return torch.stack(found).sum(0)


@contextmanager
def steered(model: Any, layer: int, vector: Tensor) -> Iterator[None]:
    """Add a vector (D,), or one for each prompt (B, D), to what a layer returns at the last token, inside the context."""
    layers = model.model.layers
    if not 0 <= layer < len(layers):
        raise InvalidInput(f"layer {layer} is not one of the {len(layers)} layers of this model.")

    def add(states: Tensor) -> Tensor:
        return torch.cat([states[:, :-1], (states[:, -1] + vector)[:, None]], 1)

    with outputs_of(layers[layer], add):
        yield


def projections(model: Any) -> list[Any]:
    """Return the output projection of each layer's attention. Raises InvalidInput for a model of another build."""
    layers = getattr(getattr(model, "model", None), "layers", None)
    if layers is None:
        raise InvalidInput(
            f"{type(model).__name__} has no model.layers: give a decoder of transformers as Llama is built."
        )
    return [layer.self_attn.o_proj for layer in layers]


def heads_of(model: Any) -> int:
    """Return the number of heads of a layer."""
    return int(model.config.num_attention_heads)


def _patch(head: int, mean: Tensor) -> Callable[[Tensor], Tensor]:
    def change(states: Tensor) -> Tensor:
        new, width = states.clone(), len(mean)
        new[:, -1, head * width : (head + 1) * width] = mean
        return new

    return change
