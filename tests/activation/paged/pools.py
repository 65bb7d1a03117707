"""Pools of keys and values that a test can predict."""

from functools import cache

import torch

from mnemos.activation.paged.pool import Pool

L, H, D, SIZE = 2, 2, 4, 4


@cache
def entry(state):
    return torch.randn(L, 2, H, D, generator=torch.Generator().manual_seed(state))


def entries(tokens, extra=None):
    """Keys and values (L, 2, H, T, D) that depend on all tokens up to each, as a causal model's do."""
    state, rows = len(extra or {}) * 7 + sum(map(ord, "".join((extra or {}).values()))), []
    for token in tokens:
        state = (state * 31 + token + 1) % 100_003
        rows.append(entry(state))
    return torch.stack(rows, 3) if rows else torch.zeros(L, 2, H, 0, D)


def pool(blocks=8, **options):
    return Pool(blocks, layers=L, heads=H, width=D, size=SIZE, **options)


def fill(pool, name, tokens, extra=None):
    """Open a sequence and compute what it does not share; returns the number of shared tokens."""
    shared = pool.open(name, tokens, extra)
    add(pool, name, tokens[shared:], tokens[:shared], extra)
    return shared


def add(pool, name, tokens, before, extra=None):
    pool.grow(name, tokens)
    new = entries([*before, *tokens], extra)[:, :, :, len(before) :]
    for layer in range(L):
        pool.write(name, layer, *new[layer])


def check_counts(pool):
    """Every block is held as often as tables and leases name it, or is free exactly once."""
    held = [0] * pool.blocks
    for blocks in (*(pool.table(name) for name in pool._tables), *pool._pinned.values()):
        for block in blocks or ():
            held[block] += 1
    pages = pool.pages
    assert pages.counts == held
    free = [*pages._empty, *pages.cached]
    assert sorted(free) == [block for block, n in enumerate(held) if n == 0]
    assert pool.held_blocks + pool.free_blocks == pool.blocks
    assert {block: digest for digest, block in pages._blocks.items()} == pages._digests
    assert set(pages.cached) == {block for block in pages._digests if held[block] == 0}
    assert pages._entries.keys() == pages._digests.keys()
    assert pool._pinned.keys() <= pool.pins._until.keys()


def check_content(pool, name, tokens, extra=None):
    whole = entries(tokens, extra)
    for layer in range(L):
        assert torch.equal(torch.stack(pool.read(name, layer)), whole[layer])
