"""KVzip: what the model needs to repeat the context is what any question may need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mnemos.activation.attach import attached
from mnemos.activation.base import LayerView
from mnemos.activation.cache import MemoryCache
from mnemos.activation.entries import Entries
from mnemos.activation.forget.budgets import allocate
from mnemos.activation.forget.probe import Probe
from mnemos.activation.groups import HeadGroup
from mnemos.activation.method import CacheMethod
from mnemos.activation.plain import Plain
from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

ROWS = 128  # queries whose attention is looked at together


class _Strongest(Probe):
    """Records the largest attention that the entries of each view get, but for those that are read with it."""

    def __init__(self, views: Sequence[LayerView]) -> None:
        self.found: dict[tuple[int, int], Tensor] = {}
        self.count = {_key(view): len(view.entries) for view in views}

    def observe(self, view: LayerView) -> None:
        key = _key(view)
        for first in range(0, view.queries, ROWS):
            part = view.part(first, min(ROWS, view.queries - first))
            best = part.weights()[..., : self.count[key]].amax((2, 3))  # (B, H, T)
            self.found[key] = torch.maximum(self.found.get(key, best), best)


def _key(view: LayerView) -> tuple[int, int]:
    return view.layer, 0 if view.heads is None else int(view.heads[0])


@register(
    "reconstruction",
    papers=(
        Paper(
            "KVzip: Query-Agnostic KV Cache Compression with Context Reconstruction",
            "2505.23416",
            code="snu-mllab/KVzip",
        ),
    ),
    task="key-value",
    baselines=("random-eviction", "sliding-window", "keydiff"),
)
@dataclass(frozen=True)
class Reconstruction:
    """Ranks by the largest attention that an entry gets while the model reads the context a second time.

    To repeat a text is to look everything up in it, so no question has to be known. The second reading goes in parts of
    `chunk` tokens, each after `request`, against the whole cache, and leaves nothing in it: it costs one more prefill.
    After a later prompt, what came since the last one is read again, and older entries keep what they got before.
    Budgets by head are those of `Overall`, as in the paper.

    Deviation: by default there is no request ("Repeat the previous context:"), since a cache knows no tokenizer; to see
    a text again is enough to be drawn to where it stood. Raises InvalidInput for padded batches and for layers with a
    sliding window.
    """

    needs_tokens: ClassVar[bool] = True
    chunk: int = 1024  # tokens that are read again at once
    request: Tensor | None = None  # ids (1, r) that ask the model to repeat

    def reread(self, model: Any, tokens: Tensor, views: Sequence[LayerView]) -> None:
        """Read the tokens (B, T) again, and remember what each entry got."""
        if any(view.entries.valid is not None for view in views):
            raise InvalidInput(
                "reconstruction reads a text again and cannot read padding: read rows of one length together."
            )
        strongest = _Strongest(views)
        probe = MemoryCache(model, CacheMethod(strongest))
        with torch.no_grad(), attached(model):
            for part in tokens.split(self.chunk, dim=1):
                for layer in probe.layers:
                    layer.reset()
                    own = [view for view in views if view.layer == layer.index]
                    layer.groups = [HeadGroup(v.heads, Plain(Entries(v.entries.keys, v.entries.values))) for v in own]
                    layer.tokens_read, layer.prompt, layer.batch = own[0].tokens_read, own[0].tokens_read, len(tokens)
                asked = part if self.request is None else torch.cat((self.request.expand(len(part), -1), part), 1)
                model.base_model(asked, past_key_values=probe)
        for view in views:
            known = view.entries.memory("repeated")
            torch.maximum(known, strongest.found[_key(view)], out=known)

    def __call__(self, view: LayerView) -> Tensor:
        """Return the scores, (B, H, T) from 0 to 1."""
        if "repeated" not in view.entries.extra:
            raise InvalidInput(
                "the context was not read a second time: call the whole model (not its base_model), and give "
                "reconstruction a prompt budget only."
            )
        return view.entries.extra["repeated"]

    @staticmethod
    def at_share(share: float) -> CacheMethod:
        """Evict from the prompt what a second reading needs least, over all layers and heads."""
        return CacheMethod(Reconstruction(), prompt=share, sinks=4, allocation=Overall())


@dataclass(frozen=True)
class Overall:
    """Gives a head as many entries as it has among the largest scores of all layers and heads.

    The scores of different heads have to mean the same, as shares of attention do.
    """

    least: float = 0.1  # share of the even budget that every head keeps; ours

    def need(self, view: LayerView, score: Tensor) -> Tensor:
        """Return the scores, (B, H, T)."""
        return score

    def counts(self, needs: Sequence[Tensor], each: int, held: int) -> list[Tensor]:
        """Return the entries of each head, (H,), for each layer."""
        scores = torch.cat(list(needs), 1)  # (B, L H, T)
        best = scores.flatten(1).topk(each * scores.shape[1], dim=1).indices // scores.shape[2]
        won = torch.zeros(scores.shape[1], dtype=torch.double, device=best.device)
        won.scatter_add_(0, best.flatten(), torch.ones_like(best.flatten(), dtype=torch.double))
        counts = allocate(won / len(scores), each * scores.shape[1], max(1, int(self.least * each)), held)
        return list(counts.split([need.shape[1] for need in needs]))
