"""Synthetic gradients: with true ones a segment by itself gives the gradients of the whole text; they are learned."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.slots.lm2 import LargeMemory
from mnemos.neural.slots.synthetic_gradients import SyntheticGradients


def text(seed=0, count=3):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(5, 4, 8, dtype=torch.float64, generator=rng) for _ in range(count)]


def step_of(memory):
    def step(segment, slots):
        y, slots = memory(segment, slots)
        return y.square().mean(), slots

    return step


def gradients(memory):
    return {name: p.grad.clone() for name, p in memory.named_parameters() if p.grad is not None}


@pytest.fixture
def memory():
    torch.manual_seed(0)
    return LargeMemory(8, 3, length=4).double()


def test_told_the_true_gradients_segments_one_by_one_give_those_of_the_whole_text(memory):
    step, segments, states, losses = step_of(memory), text(), [memory.init_state(5)], []
    for segment in segments:
        loss, after = step(segment, states[-1])
        losses.append(loss)
        states.append(after)
    true = [torch.autograd.grad(sum(losses[n:]), states[n], retain_graph=True)[0] for n in (1, 2)]
    sum(losses).backward()
    wanted = gradients(memory)
    memory.zero_grad()

    class Oracle(SyntheticGradients):
        """Tells the true gradients in turn."""

        def forward(self, state):
            if torch.is_grad_enabled():  # what is learned, not what is told
                return super().forward(state)
            return 5 * true.pop(0)

    predictor, state = Oracle(24).double(), memory.init_state(5)
    for n, segment in enumerate(segments):
        learned = predictor.learn(step, segment, state, last=n == 2)
        torch.testing.assert_close(learned.loss, losses[n].detach())
        state = learned.state
    for name, grad in gradients(memory).items():
        torch.testing.assert_close(grad, wanted[name])


def test_at_first_nothing_is_told_and_it_is_truncated_back_propagation(memory):
    step, segments = step_of(memory), text(count=2)
    predictor, state = SyntheticGradients(24).double(), memory.init_state(5)
    for n, segment in enumerate(segments):
        state = predictor.learn(step, segment, state, last=n == 1).state
    cut = gradients(memory)
    memory.zero_grad()
    state = memory.init_state(5)
    for segment in segments:
        loss, state = step(segment, state.detach())
        loss.backward()
    for name, grad in gradients(memory).items():
        torch.testing.assert_close(cut[name], grad)


def test_the_predictor_learns_the_gradient_that_arrives():
    torch.manual_seed(0)
    predictor = SyntheticGradients(4, 32)
    optimiser = torch.optim.Adam(predictor.parameters(), 0.01)

    def step(wanted, state):
        return (state - wanted).square().sum(-1).mean(), state

    for n in range(200):
        state = torch.randn(32, 4, generator=torch.Generator().manual_seed(n))
        predictor.learn(step, torch.ones(4), state, last=True)
        optimiser.step()
        optimiser.zero_grad()
    state = torch.randn(32, 4)
    assert torch.cosine_similarity(predictor(state), 2 * (state - 1)).mean() > 0.95


def test_a_state_of_another_size_is_refused():
    with pytest.raises(InvalidInput, match="24"):
        SyntheticGradients(24)(torch.zeros(2, 3, 4))
    with pytest.raises(InvalidInput, match="keep"):
        SyntheticGradients(24, keep=2)
