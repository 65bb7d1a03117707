"""Memformer and memory replay: gradients of the whole text with one segment in memory."""

import pytest
import torch

from mnemos.errors import InvalidInput
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
