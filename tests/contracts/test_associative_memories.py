"""What every memory of patterns or of pairs promises: `pytest tests/contracts/test_associative_memories.py -k NAME`."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.registry import all_entries

PATTERNS, PAIRS = (all_entries("neural", kind=kind) for kind in ("associative-memory", "pair-memory"))
MADE = {"clustered-cliques": {"clusters": 6, "units": 16}, "ca3": {"cues": 4, "contents": 28}}  # others: width=32


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def patterns(name, count=3):
    """Return patterns of the kind that a memory keeps."""
    if name == "clustered-cliques":
        return torch.randint(16, (count, 6), generator=rng())
    bits = torch.randint(2, (count, 28 if name == "ca3" else 32), generator=rng()).float()
    if name == "ca3":
        return torch.cat([torch.eye(4)[:count], bits], 1)
    if name == "sparsey":
        return (torch.rand(count, 32, generator=rng()) < 0.25).float()
    return 2 * bits - 1


@pytest.fixture(params=PATTERNS, ids=lambda entry: entry.name)
def kept(request):
    entry = request.param
    return entry.target(**MADE.get(entry.name, {"width": 32})), patterns(entry.name)


@pytest.fixture(params=PAIRS, ids=lambda entry: entry.name)
def pairs(request):
    keys = torch.nn.functional.normalize(torch.randn(3, 8, generator=rng()), dim=-1)
    return request.param.target(key=8, value=2), keys, torch.randn(3, 2, generator=rng(1))


def test_what_is_kept_is_recalled_and_recalling_changes_nothing(kept):
    memory, new = kept
    memory.store(new)
    first = memory.recall(new)
    assert first.dtype == new.dtype
    torch.testing.assert_close(first, new, atol=0.01, rtol=0)
    assert torch.equal(memory.recall(new), first)


def test_patterns_of_another_shape_are_refused(kept):
    memory, new = kept
    with pytest.raises(InvalidInput, match="give"):
        memory.store(new[:, :-1])
    memory.store(new)
    with pytest.raises(InvalidInput, match="give"):
        memory.recall(new[:, :-1])


def test_values_are_read_by_their_keys_and_reading_changes_nothing(pairs):
    memory, keys, values = pairs
    memory.write(keys[:1], values[:1])
    memory.write(keys[1:], values[1:])
    first = memory.read(keys)
    assert first.dtype == keys.dtype
    assert (torch.nn.functional.cosine_similarity(first, values) > 0.9).all()
    assert torch.equal(memory.read(keys), first)


def test_pairs_that_do_not_fit_are_refused(pairs):
    memory, keys, values = pairs
    for wrong in ((keys[:, :-1], values), (keys, values[:, :-1]), (keys[:-1], values)):
        with pytest.raises(InvalidInput, match="give"):
            memory.write(*wrong)
    with pytest.raises(InvalidInput, match="give"):
        memory.read(keys[:, :-1])
