"""Memformer and memory replay: gradients of the whole text with one segment in memory."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.slots.hmt import HierarchicalSegments
from mnemos.neural.slots.lm2 import LargeMemory
from mnemos.neural.slots.memformer import Memformer, replay


def made(count, length=6):
    torch.manual_seed(0)
    model = Memformer(8, slots=3).double()
    segments = [torch.randn(2, length, 8, dtype=torch.float64) for _ in range(count)]
    return model, segments


def step(model):
    def run(segment, slots):
        y, slots = model(segment, slots)
        return (y.square().mean() - y[:, -1].mean()), slots

    return run


def whole(model, segments):
    """Return the loss of all segments, with the graph of the whole text."""
    state, total = model.init_state(2), 0.0
    for segment in segments:
        loss, state = step(model)(segment, state)
        total = total + loss
    return total


def test_replay_gives_the_gradients_of_the_whole_text():
    model, segments = made(5)
    whole(model, segments).backward()
    wanted = [p.grad.clone() for p in model.parameters()]
    for p in model.parameters():
        p.grad = None
    total = replay(step(model), segments, model.init_state(2))
    torch.testing.assert_close(total, whole(model, segments).detach(), check_dtype=False)
    for p, grad in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(p.grad, grad, atol=1e-10, rtol=1e-8)
    assert any(g.abs().sum() > 0 for g in wanted)


def peak(run):
    """Return the most bytes that autograd saved at once."""
    held = most = 0

    class Saved:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor, self.bytes = tensor, tensor.numel() * tensor.element_size()
            held += self.bytes
            most = max(most, held)

        def __del__(self):
            nonlocal held
            held -= self.bytes

    with torch.autograd.graph.saved_tensors_hooks(Saved, lambda saved: saved.tensor):
        run()
    return most


def test_replay_saves_no_more_for_more_segments():
    bytes_of = {}
    for count in (2, 8):
        model, segments = made(count)
        bytes_of[count] = peak(lambda m=model, s=segments: replay(step(m), s, m.init_state(2)))
        model, segments = made(count)
        bytes_of[count, "whole"] = peak(lambda m=model, s=segments: whole(m, s).backward())
    assert bytes_of[8] <= 1.05 * bytes_of[2]
    assert bytes_of[8, "whole"] > 3 * bytes_of[2, "whole"]
    assert bytes_of[8] < bytes_of[8, "whole"] / 3


def test_slots_carry_what_a_segment_said_and_keep_their_length():
    model, segments = made(2)
    state = model.init_state(2)
    first = model(segments[0], state)[1]
    other = model(segments[0].flip(1), state)[1]
    assert not torch.allclose(model(segments[1], first)[0], model(segments[1], other)[0])
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(2, 3, dtype=torch.float64))
    with pytest.raises(InvalidInput, match="segment"):
        replay(step(model), [], state)


def test_slots_of_lm2_are_kept_or_replaced_through_their_gates():
    torch.manual_seed(0)
    model = LargeMemory(8, slots=3).double()
    x, slots = torch.randn(2, 6, 8, dtype=torch.float64), model.init_state(2)
    torch.testing.assert_close(slots[0, :, :3], torch.eye(3, dtype=torch.float64))
    with torch.no_grad():
        model.gates.weight.zero_()
        model.gates.bias.copy_(torch.tensor([60.0] * 8 + [-60.0] * 8))  # forget nothing, take nothing
        torch.testing.assert_close(model(x, slots)[1], slots)
        model.gates.bias.copy_(torch.tensor([-60.0] * 8 + [60.0] * 8))
        after = model(x, slots)[1]
        y = model.norms[2](model(x, slots)[0])
        torch.testing.assert_close(after, model.attended(y, slots)[1].tanh())
        model.gate.weight.zero_()
        model.gate.bias.fill_(-60.0)  # nothing is read
        torch.testing.assert_close(model(x, slots)[0], model(x, slots * 3)[0])


def test_a_segment_takes_the_memory_it_asks_for_and_puts_one_into_the_queue():
    torch.manual_seed(0)
    model = HierarchicalSegments(8, memories=3, sensory=2).double()
    segments, state = torch.randn(4, 2, 6, 8, dtype=torch.float64), model.init_state(2)
    assert (model.weights(segments[0], state[:, :3]) == 0).all()
    states = [state]
    for segment in segments:
        y, state = model(segment, state)
        assert y.shape == segment.shape
        states.append(state)
    torch.testing.assert_close(states[4][:, :2], states[3][:, 1:3])
    torch.testing.assert_close(states[4][:, 3:], segments[3][:, -2:])
    assert (states[2][:, 0] == 0).all()
    weights = model.weights(segments[2], states[2][:, :3])
    assert (weights[:, 0] == 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(2, dtype=torch.float64))
    newest = HierarchicalSegments(8, memories=3, sensory=0, retrieve=False).double()
    queue = torch.randn(2, 3, 8, dtype=torch.float64)
    other = torch.cat([torch.randn(2, 2, 8, dtype=torch.float64), queue[:, 2:]], 1)
    torch.testing.assert_close(newest(segments[0], queue)[0], newest(segments[0], other)[0])


@pytest.mark.parametrize("made_of", [LargeMemory, Memformer, HierarchicalSegments])
def test_later_tokens_of_a_segment_change_no_earlier_one(made_of):
    torch.manual_seed(0)
    model = made_of(8, 3).double()
    x, state = torch.randn(2, 6, 8, dtype=torch.float64), model.init_state(2)
    state = model(x.flip(1), state)[1]
    later = torch.cat([x[:, :4], torch.randn(2, 2, 8, dtype=torch.float64)], 1)
    torch.testing.assert_close(model(x, state)[0][:, :4], model(later, state)[0][:, :4])
