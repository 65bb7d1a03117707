"""The block table of a sequence, and how to read blocks that are scattered over a pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

RUN = 16  # neighbouring blocks from which on they are read in place; shorter runs are gathered into a copy
SPAN = 128  # blocks gathered at a time
EVICTED = -1  # stands in a table for a block that was evicted


@dataclass(slots=True)
class Table:
    """A sequence in a pool."""

    extra: dict[str, str]  # what its keys and values depend on beside the tokens
    tokens: list[int]
    blocks: list[int] | None  # the physical block of every `size` tokens; None while swapped out
    written: list[int]  # (layers,) entries that each layer has written
    digests: list[bytes] = field(default_factory=list)  # of the full blocks that every layer has written
    evicted: set[int] = field(default_factory=set)  # indices of the blocks that the sequence no longer holds

    @property
    def complete(self) -> bool:
        """Whether every layer has written all tokens."""
        return min(self.written) == len(self.tokens)

    @property
    def held(self) -> list[int]:
        """The physical blocks that the sequence holds, in order; none while swapped out."""
        return [block for block in self.blocks or () if block != EVICTED]


def wasted(tables: Iterable[Table], size: int) -> float:
    """Return the share of the entries in the blocks of sequences that hold no token."""
    filled: dict[int, int] = {}
    for table in tables:
        for i, block in enumerate(table.blocks or ()):
            if block != EVICTED:
                filled[block] = max(filled.get(block, 0), min(size, len(table.tokens) - i * size))
    return 1 - sum(filled.values()) / (len(filled) * size) if filled else 0.0


def spans(blocks: Sequence[int]) -> list[tuple[int, int, bool]]:
    """Cut a table into (index, number of blocks, whether they are one run); runs shorter than RUN are joined.

    Evicted blocks are in no span.
    """
    found: list[tuple[int, int, bool]] = []
    at, loose = 0, False  # whether the last span may still take in a short run
    while at < len(blocks):
        if blocks[at] == EVICTED:
            at, loose = at + 1, False
            continue
        n = 1
        while at + n < len(blocks) and blocks[at + n] == blocks[at] + n:
            n += 1
        if n < RUN and loose and found[-1][1] + n <= SPAN:
            found[-1] = (found[-1][0], found[-1][1] + n, False)
        else:
            found.append((at, n, True))
            loose = n < RUN
        at += n
    return found
