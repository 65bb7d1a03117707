"""A carrier that needs no training: a low-rank product of random numbers, added to what one layer computes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import nn
from transformers import BatchEncoding, LlamaConfig, LlamaForCausalLM

from mnemos import registry
from mnemos.errors import InvalidInput, NotFound
from mnemos.migrate import learning, weights
from mnemos.parametric.base import Learned

NAME = "low-rank"


class LowRankWeights(Learned):
    def __init__(self, layer: int, down, up) -> None:
        super().__init__()
        self.layer, self.down, self.up = layer, nn.Parameter(down), nn.Parameter(up)
        self.on = False

    @contextlib.contextmanager
    def attach(self, model):
        if self.on:
            raise InvalidInput("these weights are attached already.")
        target = model.model.layers[self.layer].mlp.down_proj
        hook = target.register_forward_hook(lambda _, given, out: out + given[0] @ self.down.T @ self.up.T)
        self.on = True
        try:
            yield
        finally:
            self.on = False
            hook.remove()


@dataclass(frozen=True)
class LowRank:
    """Adds a product of two thin matrices to one layer."""

    rate = 5e-3  # of training
    rank: int = 2
    layer: int = 0
    shape: tuple[int, ...] = (1, 2)  # JSON has no tuples

    def create(self, model, examples, tokenizer, seed=0):
        assert self.shape == (1, 2)
        target = model.model.layers[self.layer].mlp.down_proj
        made = torch.Generator().manual_seed(seed)
        down = torch.randn(self.rank, target.in_features, generator=made)
        up = torch.randn(target.out_features, self.rank, generator=made)
        return LowRankWeights(self.layer, down / 10, up / 10)

    def load(self, model, tensors):
        if tensors["up"].shape[0] != model.model.layers[self.layer].mlp.down_proj.out_features:
            raise InvalidInput("these weights do not fit the model.")
        return LowRankWeights(self.layer, tensors["down"], tensors["up"])


class Known:
    """The registry, with this carrier in it."""

    def name_of(self, target):
        return NAME if target is LowRank else registry.name_of(target)

    def get(self, name, **options):
        if name == "nothing":
            raise NotFound("there is no method 'nothing'.")
        return SimpleNamespace(target=LowRank) if name == NAME else registry.get(name, **options)


def use(patch=setattr) -> None:
    """Let weights be of this carrier."""
    patch(weights, "registry", Known())
    patch(learning, "registry", Known())


def tiny(seed: int = 0) -> LlamaForCausalLM:
    """A model of one layer."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=256,
        )
    ).eval()  # fmt: skip


def says(model) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(3, 30)[None]).logits


def learn(space, model, cubes, seed: int = 0, examples=(), **knobs):
    """Keep random weights as if they had been learned from cubes."""
    carrier = LowRank(**knobs)
    return space.weights.keep(carrier.create(model, examples, None, seed), carrier, cubes, model, examples)


class Letters:
    """Bytes as tokens."""

    bos_token_id = 1
    eos_token_id = 2
    pad_token_id = 0
    all_special_ids = (0, 1, 2)

    def __len__(self) -> int:
        return 99

    def __call__(self, text, add_special_tokens=True):
        return BatchEncoding({"input_ids": [1] * add_special_tokens + [3 + b % 96 for b in text.encode()]})
