"""States of an optimiser on disk: the same weights, few states in memory, and an ordinary optimiser afterwards."""

import pytest
import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.footprint import attached
from mnemos.footprint.container import Buffers, Container, Striped
from mnemos.footprint.states.on_disk import StatesOnDisk

X = torch.randn(16, 64, generator=torch.Generator().manual_seed(1))


def network():
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.GELU()) for _ in range(6)))


def train(model, optimiser, steps):
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-3 * (step + 1)
        optimiser.zero_grad()
        model(X).square().mean().backward()
        optimiser.step()


def trained(method=None, make=torch.optim.AdamW, steps=3):
    """Return a model after plain steps, steps with a method, and a plain step."""
    model = network()
    optimiser = make(model.parameters())
    train(model, optimiser, 1)
    with attached(model, *([method] if method else []), optimiser=optimiser):
        train(model, optimiser, steps)
    train(model, optimiser, 1)
    return model, optimiser


@pytest.mark.parametrize("make", [torch.optim.AdamW, lambda p: torch.optim.SGD(p, momentum=0.9), torch.optim.Adagrad])
@pytest.mark.parametrize(
    "knobs", [{}, {"overlap": False}, {"fast": 70_000}, {"stripes": 2, "one_file": False, "pooled": False}]
)
def test_weights_and_states_are_those_of_plain_training_bit_for_bit(make, knobs):
    (plain, before), (model, after) = trained(make=make), trained(StatesOnDisk(**knobs), make)
    for a, b in zip(plain.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
        for name, state in before.state[a].items():
            other = after.state[b][name]
            assert torch.equal(state, other) if isinstance(state, torch.Tensor) else state == other


def test_the_states_of_some_parameters_are_in_memory_at_once_and_gradients_are_gone():
    method = StatesOnDisk(ahead=1)
    _, optimiser = trained()
    whole = sum(t.nbytes for s in optimiser.state.values() for t in s.values() if t.dim() == 2)
    model = network()
    optimiser = torch.optim.Adam(model.parameters())
    with attached(model, method, optimiser=optimiser):
        train(model, optimiser, 3)
        assert all(p.grad is None for p in model.parameters())
        held = sum(t.nbytes for s in optimiser.state.values() for t in s.values() if t.dim() == 2)
        assert held == 0
    assert (
        method.moved.peak_in_memory <= 3 * whole / 6
    )  # of six layers: the one that learns, the next, and one to be written
    assert method.moved.written == 3 * whole
    assert method.moved.read == 3 * whole  # in the last two steps, and afterwards


def test_what_does_not_fit_is_refused_and_an_exception_leaves_an_ordinary_optimiser():
    model = network()
    optimiser = torch.optim.Adam(model.parameters())
    with pytest.raises(InvalidInput, match="no optimiser"), attached(model, StatesOnDisk()):
        pass
    elsewhere = torch.optim.Adam([nn.Parameter(torch.zeros(2, device="meta"))])
    with pytest.raises(InvalidInput, match="not on the CPU"), attached(model, StatesOnDisk(), optimiser=elsewhere):
        pass
    with attached(model, StatesOnDisk(), optimiser=optimiser), pytest.raises(InvalidInput, match="closure"):
        optimiser.step(lambda: 0.0)
    with pytest.raises(RuntimeError, match="stop"), attached(model, StatesOnDisk(), optimiser=optimiser):  # noqa: PT012
        train(model, optimiser, 1)
        raise RuntimeError("stop")
    assert "step" not in vars(optimiser)
    assert all(optimiser.state[p]["exp_avg"].shape == p.shape for p in model.parameters())
    train(model, optimiser, 1)


def test_stripes_have_the_bytes_of_a_block_between_them():
    parts = [Container(), Container()]
    striped = Striped(parts)
    tensors = [torch.randn(n) for n in (1001, 3, 50)]
    places = [striped.place(t.nbytes) for t in tensors]
    for place, tensor in zip(places, tensors, strict=True):
        striped.write(place, tensor)
    assert all(torch.equal(striped.read(p, torch.empty_like(t)), t) for p, t in zip(places, tensors, strict=True))
    assert abs(parts[0].size - parts[1].size) <= 3
    striped.close()


def test_slots_have_the_size_that_is_needed_or_the_largest():
    exact, largest = Buffers(True, 100), Buffers(False, 100)
    assert [b.take(n).nbytes for b in (exact, largest) for n in (7, 100)] == [7, 100, 100, 100]
    slot = exact.take(7)
    exact.give(slot)
    assert exact.take(7) is slot
    assert exact.take(7) is not slot
