"""The directions of a model's keys and values: found once for a model, they tell which parts of an entry matter.

B batch, L layers, H key/value heads, G query heads per key/value head, T entries, D head width; N blocks of heads that
are coded together (1, or H), each of W channels (H D, or D).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView
from mnemos.activation.cache import MemoryCache
from mnemos.activation.forget.probe import Probe
from mnemos.activation.method import CacheMethod
from mnemos.activation.rotary import Rotary
from mnemos.errors import InvalidInput

DISTANCES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512, 640, 768, 900)  # from query to key
FLOOR = 1e-3  # of the mean eigenvalue: the least weight of a direction
FIRST = 4  # tokens of a text that are left out: their keys are unlike all others
RANDOM = 1024  # tokens that a model reads where no text is given


@dataclass(frozen=True)
class Spectrum:
    """A linear code of a layer's heads: (x - mean) A has uncorrelated channels, and errors in all of them weigh alike.

    Keys are coded without their rotation. An error in a key is weighed by the queries of the model, one in a value by
    the weights that read it. It belongs to the model, not to a cache, and is not counted among a cache's bytes.
    """

    key_mean: Tensor  # (L, N, W)
    key_code: Tensor  # (L, N, W, W), A of keys
    key_back: Tensor  # (L, N, W, W), its inverse
    value_mean: Tensor
    value_code: Tensor
    value_back: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(int(getattr(self, f.name).nbytes) for f in fields(self))

    def save(self, path: str | Path) -> None:
        """Write it to a file of safetensors, in float16."""
        save_file({f.name: getattr(self, f.name).half().contiguous() for f in fields(self)}, path)

    @staticmethod
    def load(path: str | Path) -> Spectrum:
        """Read it from a file. Raises InvalidInput for a file that is damaged, or of something else."""
        try:
            held = load_file(path)
        except (SafetensorError, ValueError) as error:
            raise InvalidInput(f"{path} cannot be read ({error}): find the spectrum again.") from error
        if missing := {f.name for f in fields(Spectrum)} - held.keys():
            raise InvalidInput(f"{path} has no {sorted(missing)[0]}: give a file that Spectrum.save wrote.")
        return Spectrum(**{f.name: held[f.name].float() for f in fields(Spectrum)})


class _Moments(Probe):
    """Sums what a call shows of each layer."""

    def __init__(self, rotary: Rotary | None) -> None:
        self.rotary = rotary
        self.found: dict[int, dict[str, Tensor]] = {}

    def observe(self, view: LayerView) -> None:
        """Record means and covariances of keys and values, and the second moments of queries, without rotation."""
        entries, positions = view.entries, view.entries.positions()[:, :, FIRST:]
        keys, values, query = entries.keys[:, :, FIRST:], entries.values[:, :, FIRST:], view.query[:, :, FIRST:]
        if self.rotary is not None:
            keys = self.rotary.shift(keys, -positions)
            query = self.rotary.shift(query, -positions.repeat_interleave(view.groups, 1))
        asked = query.double().unflatten(1, (-1, view.groups)) * view.scaling
        moments = torch.einsum("bhgtd,bhgte->hde", asked, asked) / (asked.shape[0] * asked.shape[3] * view.groups)
        key_mean, key_spread = _spread(keys)
        value_mean, value_spread = _spread(values)
        self.found[view.layer] = {
            "key_mean": key_mean, "key_spread": key_spread, "key_weight": self._turned(moments),
            "value_mean": value_mean, "value_spread": value_spread,
            "value_weight": _reading(view.module, values.shape[1], values.shape[3], view.groups),
        }  # fmt: skip

    def _turned(self, moments: Tensor) -> Tensor:
        """Return the moments (H, D, D) of queries that stand at the usual distances from a key."""
        rotary = self.rotary
        if rotary is None:
            return moments
        both = [rotary.shift(rotary.shift(moments[None], d).mT, d)[0] for d in DISTANCES]
        return torch.stack(both).mean(0)


def _spread(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (H D,) and the covariance (H D, H D) of vectors (B, H, T, D)."""
    flat = vectors.double().transpose(1, 2).flatten(0, 1).flatten(1)  # (B T, H D)
    centred = flat - flat.mean(0)
    return flat.mean(0), centred.T @ centred / len(flat)


def _reading(module: Any, heads: int, width: int, groups: int) -> Tensor:
    """Return what an error in a value does to the layer's output, (H, D, D): W W^T of the weights that read it."""
    projection = dict(module.named_children()).get("o_proj")
    weight = None if projection is None else getattr(projection, "weight", None)
    if weight is None or weight.shape[1] != heads * groups * width:
        return torch.eye(width, dtype=torch.double).expand(heads, -1, -1)
    each = weight.detach().double().unflatten(1, (heads, groups, width))
    return torch.einsum("ohgd,ohge->hde", each, each) / groups


def _code(spread: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return A and its inverse, (W, W) each: the root of `weight`, then the directions in which `spread` is widest."""
    size, directions = torch.linalg.eigh(weight)
    root = size.clamp_min(FLOOR * size.mean().clamp_min(1e-12)).sqrt()
    there, back = directions * root @ directions.mT, directions / root @ directions.mT
    main = torch.linalg.eigh(there @ spread @ there).eigenvectors.flip(1)
    return there @ main, main.mT @ back


def _side(mean: Tensor, spread: Tensor, weight: Tensor, together: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return means (N, W), codes and inverses (N, W, W) from the moments of a layer's keys or values."""
    heads, width = weight.shape[:2]
    size = heads * width if together else width
    weights = torch.block_diag(*weight)
    blocks = [slice(first, first + size) for first in range(0, heads * width, size)]
    pairs = [_code(spread[at, at], weights[at, at]) for at in blocks]
    return mean.unflatten(0, (-1, size)), torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])


@torch.no_grad()  # type: ignore[untyped-decorator]
def find_spectrum(
    model: Any, ids: Tensor | None = None, rotary: Rotary | None = None, together: bool = True
) -> Spectrum:
    """Return the spectrum of a model from one reading of ids (B, T): a thousand tokens of any text, without padding.

    Without `ids` the model reads random tokens. `rotary` is how its keys are turned, None where they are not
    (`MemoryCache(model).rotary()`). Costs one prefill.
    """
    if ids is None:
        config = model.config.get_text_config(decoder=True)
        count = min(RANDOM, getattr(config, "max_position_embeddings", RANDOM))
        random = torch.Generator().manual_seed(0)
        ids = torch.randint(config.vocab_size, (1, count), generator=random).to(next(model.parameters()).device)
    if ids.shape[1] <= FIRST + 1:
        raise InvalidInput(f"the text has {ids.shape[1]} tokens: give some hundreds.")
    moments = _Moments(rotary)
    cache = MemoryCache(model, CacheMethod(moments))
    with attached(model):
        model.base_model(ids, past_key_values=cache)
    held: dict[str, list[Tensor]] = {f.name: [] for f in fields(Spectrum)}
    if not moments.found:
        raise InvalidInput("every layer of this model has a sliding window: there is nothing to compress.")
    other = next(iter(moments.found.values()))  # stands in for layers with a sliding window, which are never asked for
    for layer in range(cache.state.layers):
        found = moments.found.get(layer, other)
        for side in ("key", "value"):
            mean, spread, weight = (found[f"{side}_{what}"] for what in ("mean", "spread", "weight"))
            parts = _side(mean, spread, weight, together)
            for what, part in zip(("mean", "code", "back"), parts, strict=True):
                held[f"{side}_{what}"].append(part.float())
    return Spectrum(**{name: torch.stack(parts) for name, parts in held.items()})
