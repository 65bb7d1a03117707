"""The heads of a layer, in groups that hold equally many entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from mnemos.activation.attention import query_heads
from mnemos.activation.base import Budgeted, EntryStore, Finishing, NeedsHiddenStates, Reopening, Stepwise, Trimming
from mnemos.activation.entries import Entries


@dataclass
class HeadGroup:
    """Key/value heads that hold equally many entries, and their store."""

    heads: Tensor | None  # (n,); None: all of them
    store: EntryStore
    portion: float = 1.0  # of the even budget of a prompt: what the allocation gave these heads
    stepwise: Stepwise | None = field(init=False)  # the store as what it offers, looked up once
    finishing: Finishing | None = field(init=False)
    hidden: NeedsHiddenStates | None = field(init=False)
    trimming: Trimming | None = field(init=False)
    counting: Budgeted | None = field(init=False)
    reopening: Reopening | None = field(init=False)

    def __post_init__(self) -> None:
        self.stepwise = self.store if isinstance(self.store, Stepwise) else None
        self.finishing = self.store if isinstance(self.store, Finishing) else None
        self.hidden = self.store if isinstance(self.store, NeedsHiddenStates) else None
        self.trimming = self.store if isinstance(self.store, Trimming) else None
        self.counting = self.store if isinstance(self.store, Budgeted) else None
        self.reopening = self.store if isinstance(self.store, Reopening) else None

    def entries_of(self, all_heads: Entries) -> Entries:
        """Return the entries of these heads."""
        return all_heads if self.heads is None else all_heads.heads(self.heads)


def asking_of(groups: Sequence[HeadGroup], query: Tensor, heads: int) -> list[tuple[HeadGroup, Tensor]]:
    """Return the groups with the queries (B, H*G, q, D) of each; `heads` are all key/value heads."""
    each = query.shape[1] // heads
    return [
        (group, query if group.heads is None else query.index_select(1, query_heads(group.heads, each)))
        for group in groups
    ]


def together(groups: Sequence[HeadGroup], outputs: Sequence[Tensor], query: Tensor) -> Tensor:
    """Put the outputs of the groups together, (B, H*G, q, D)."""
    known = [group.heads for group in groups if group.heads is not None]
    if not known:
        return outputs[0]
    each = query.shape[1] // sum(len(heads) for heads in known)
    whole = query.new_empty(*query.shape[:3], outputs[0].shape[3])
    for heads, output in zip(known, outputs, strict=True):
        whole.index_copy_(1, query_heads(heads, each), output)
    return whole
