"""Reversible compression: couplings run backwards give back what went in, and the gradients are there both ways."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.slots.reversible import ReversibleMemory


def test_couplings_run_backwards_give_back_what_went_in():
    torch.manual_seed(0)
    memory = ReversibleMemory(16, slots=3, layers=6, length=9).double()
    x = 3 * torch.randn(4, 12, 16, dtype=torch.float64)
    y = memory.through(x, memory.couplings)
    assert (y - x).abs().mean() > 0.1
    torch.testing.assert_close(memory.back(y), x, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(memory.float().back(memory.through(x.float(), memory.couplings)), x.float())


def test_all_that_a_chunk_became_restores_it_and_a_cycle_is_closed():
    torch.manual_seed(0)
    memory, x = ReversibleMemory(8, slots=2, layers=2, length=5).double(), torch.randn(3, 5, 8, dtype=torch.float64)
    whole = memory.through(torch.cat([x + memory.place, memory.begin.expand(3, -1, -1)], 1), memory.couplings)
    kept = memory.compress(x)
    torch.testing.assert_close(kept, whole[:, 5:])
    memory.blank.data = whole[0, :5].detach()  # the blanks of the first text are what it lost
    torch.testing.assert_close(memory.restore(kept, 5)[0], x[0])
    assert float(memory.cycle(kept[:1], memory.restore(kept[:1], 5)).detach()) < 1e-18


def test_one_way_has_as_many_weights_and_uses_half_of_them_each_way():
    torch.manual_seed(0)
    shared, apart = (ReversibleMemory(8, 2, layers=4, length=6, shared=s) for s in (True, False))
    assert [p.shape for p in shared.parameters()] == [p.shape for p in apart.parameters()]
    x = torch.randn(2, 6, 8)
    kept = apart.compress(x)
    grads = torch.autograd.grad(kept.sum(), list(apart.couplings.parameters()), allow_unused=True)
    assert sum(g is not None for g in grads) == len(grads) // 2
    assert apart.restore(kept, 6).shape == x.shape
    with pytest.raises(InvalidInput, match="even"):
        ReversibleMemory(8, layers=3)
