"""PMI: what is written is the formula, tokens and slots by themselves, and what only the long-term memory still tells."""

import pytest
import torch
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.neural.slots.perception_memory import PerceptionMemory


def made(**options):
    torch.manual_seed(0)
    return PerceptionMemory(8, slots=3, heads=2, length=4, relations=2, **options).double()


def segment(seed=1):
    return torch.randn(2, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_slots_take_from_the_best_tokens_and_what_they_held_is_associated_with_what_they_hold():
    memory, x = made(top=2, decay=0.5), segment()
    state = memory.write(segment(2), memory.init_state(2))
    after = memory.write(x, state)
    for b in range(2):
        for n in range(3):
            W, (k, v) = state[b, 0, n], memory.write_kv(x[b]).chunk(2, -1)
            scores = k @ memory.write_q(W) / 8**0.5
            best = scores.argsort(descending=True)[:2]
            R = scores[best].softmax(-1) @ v[best]
            f, i = memory.gates(torch.cat([R, W.tanh()])).chunk(2)
            new = torch.sigmoid(f + 1) * W + torch.sigmoid(i) * R.tanh()
            torch.testing.assert_close(after[b, 0, n], new)
            made_now = torch.outer(F.normalize(memory.before(W), dim=0), memory.after(new).tanh())
            torch.testing.assert_close(after[b, 1:, n], 0.5 * state[b, 1:, n] + made_now)


def test_a_token_reads_both_memories_through_a_gate():
    memory, x = made(), segment()
    state = memory.write(segment(2), memory.init_state(2))
    read = memory.recalled(x, state)
    for b in range(2):
        for t in range(4):
            k, v = memory.read(state[b, 0]).chunk(2, -1)
            q, halves = memory.ask(x[b, t]), (slice(0, 4), slice(4, 8))
            of_slots = torch.cat([(k[:, h] @ q[h] / 2).softmax(0) @ v[:, h] for h in halves])
            address = F.normalize(memory.address(x[b, t] + of_slots), dim=0)
            found = torch.stack([address @ state[b, 1:, n] for n in range(3)])
            of_tensor = (found @ memory.search(x[b, t]) / 8**0.5).softmax(0) @ found
            a = memory.merge(torch.cat([of_slots, of_tensor])).sigmoid()
            torch.testing.assert_close(read[b, t], memory.join(a * of_slots + (1 - a) * of_tensor))


def test_what_slots_let_go_of_is_still_in_the_long_term_memory():
    memory = made()
    with torch.no_grad():  # slots that are overwritten by each segment
        memory.gates.weight.zero_()
        memory.gates.bias.copy_(torch.tensor([-50.0] * 8 + [50.0] * 8))
    states = []
    for seed in (1, 2):
        state = memory.write(segment(seed), memory.init_state(2))
        for later in (3, 4):
            state = memory.write(segment(later), state)
        states.append(state)
    torch.testing.assert_close(states[0][:, 0], states[1][:, 0], atol=0.5, rtol=0)
    assert (states[0][:, 1:] - states[1][:, 1:]).abs().max() > 0.05


def test_without_relations_there_is_no_long_term_memory():
    memory = PerceptionMemory(8, slots=3, heads=2, length=4, relations=0)
    y, state = memory(segment().float(), memory.init_state(2))
    assert y.shape == (2, 4, 8)
    assert state.shape == (2, 1, 3, 8)
    with pytest.raises(InvalidInput, match="decay"):
        PerceptionMemory(8, decay=1.5)
