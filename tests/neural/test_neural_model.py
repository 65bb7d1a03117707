"""Stacks of mixers and the language model around them."""

import pytest
import torch

from mnemos.errors import InvalidInput, NotFound
from mnemos.neural.linear.delta_net import DeltaNet
from mnemos.neural.model import LM, Network, Stack, mixer

HYBRID = ["delta-net", ("attention", {"window": 4})]


def model(**options):
    torch.manual_seed(0)
    return LM(16, width=8, mixers=HYBRID, **options).eval()


def words(batch=2, length=12):
    return torch.randint(16, (batch, length), generator=torch.Generator().manual_seed(1))


def test_a_stack_is_a_mixer_like_its_layers():
    torch.manual_seed(0)
    stack, x = Stack(8, HYBRID, expand=2).double(), torch.randn(2, 9, 8, dtype=torch.float64)
    fast, state = stack(x)
    slow, wanted = stack.naive(x, stack.init_state(2))
    torch.testing.assert_close(fast, slow)
    assert state.keys() == wanted.keys()
    assert stack.state_size(9) == sum(tensor.numel() for tensor in state.values()) / 2


def test_what_was_read_before_is_not_read_again():
    lm, tokens = model(), words()
    whole, end = lm(tokens)
    _, state = lm(tokens[:, :7])
    rest, after = lm(tokens[:, 7:], state)
    torch.testing.assert_close(rest, whole[:, 7:])
    torch.testing.assert_close(after, end)


def test_it_says_what_reading_all_again_would_say():
    lm, tokens = model(), words()
    said, state = lm.generate(tokens, 5)
    for t in range(5):
        assert torch.equal(lm(torch.cat([tokens, said[:, :t]], 1))[0][:, -1].argmax(-1), said[:, t])
    torch.testing.assert_close(state, lm(torch.cat([tokens, said], 1))[1])


def test_padding_on_the_left_changes_nothing_that_is_said():
    lm, tokens = model(), words(1, 6)
    padded = torch.cat([torch.zeros(1, 3, dtype=torch.long), tokens], 1)
    mask = torch.tensor([[False] * 3 + [True] * 6])
    torch.testing.assert_close(lm(padded, mask=mask)[0][:, 3:], lm(tokens)[0])


def test_a_chance_of_words_is_drawn_by_its_temperature():
    lm, tokens = model(), words()
    a, b = (lm.generate(tokens, 8, temperature=2.0, generator=torch.Generator().manual_seed(3))[0] for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, lm.generate(tokens, 8)[0])
    assert torch.equal(lm.generate(tokens, 8, temperature=1e-4)[0], lm.generate(tokens, 8)[0])


def test_layers_are_named_or_given():
    layer = DeltaNet(8)
    assert mixer(layer, 8) is layer
    with pytest.raises(InvalidInput, match="width"):
        mixer(layer, 16)
    with pytest.raises(NotFound, match="delta-net"):
        mixer("delta-nett", 8)
    with pytest.raises(InvalidInput, match="options"):
        mixer(("delta-net", {"colour": 3}), 8)
    with pytest.raises(InvalidInput, match="name at least one"):
        Stack(8, [])


def test_a_network_reads_numbers():
    torch.manual_seed(0)
    net, x = Network(3, 2, width=8), torch.randn(2, 10, 3)
    y, _ = net(x)
    assert y.shape == (2, 10, 2)
    first, state = net(x[:, :4])
    torch.testing.assert_close(torch.cat([first, net(x[:, 4:], state)[0]], 1), y)
