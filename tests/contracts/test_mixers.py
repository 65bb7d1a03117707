"""What every layer that reads a sequence promises: `pytest tests/contracts/test_mixers.py -k NAME`."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.base import Mergeable, Mixer
from mnemos.registry import all_entries

ENTRIES = all_entries("neural", kind="mixer")
WIDTH, CLOSE = 8, {"atol": 1e-9, "rtol": 1e-7}


def made(entry, dtype=torch.float64):
    torch.manual_seed(0)
    return entry.target(WIDTH).to(dtype).eval()


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def entry(request):
    return request.param


@pytest.fixture
def layer(entry) -> Mixer:
    return made(entry)


def tokens(batch=2, length=11, seed=1, dtype=torch.float64):
    return torch.randn(batch, length, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def same(found, wanted, **close):
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], **(close or CLOSE))


def gradients(layer, y, state):
    loss = (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum()
    loss = loss + sum(s.square().sum() for s in state.values() if s.is_floating_point())
    return torch.autograd.grad(loss, list(layer.parameters()), allow_unused=True, materialize_grads=True)


def test_the_fast_form_is_the_formula(layer):
    begun = layer(tokens(length=3, seed=5))[1]
    for length in (1, 11, 70):
        fast, after = layer(tokens(length=length), begun)
        slow, wanted = layer.naive(tokens(length=length), begun)
        torch.testing.assert_close(fast, slow, **CLOSE)
        same(after, wanted)


def test_its_gradients_are_those_of_the_formula(layer):
    x = tokens(length=19)
    fast = gradients(layer, *layer(x))
    slow = gradients(layer, *layer.naive(x, layer.init_state(2)))
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-6)
    assert any(g.abs().sum() > 0 for g in fast)


def test_a_text_in_pieces_is_a_text(layer):
    x = tokens(length=23)
    whole, end = layer(x)
    state, pieces = None, []
    for piece in x.split([7, 1, 10, 5], 1):
        y, state = layer(piece, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **CLOSE)
    same(state, end)


def test_a_step_is_a_token(layer):
    x = tokens(length=6)
    whole, end = layer(x)
    state = layer.init_state(2)
    for t, token in enumerate(x.unbind(1)):
        y, state = layer.step(token, state)
        torch.testing.assert_close(y, whole[:, t], **CLOSE)
    same(state, end)


def test_a_token_sees_nothing_later(layer):
    x, changed = tokens(length=20), tokens(length=20)
    changed[:, 13:] += 1
    torch.testing.assert_close(layer(x)[0][:, :13], layer(changed)[0][:, :13], **CLOSE)


def test_what_was_read_matters_later(layer):
    x, changed = tokens(length=6), tokens(length=6)
    changed[:, 3] += 1
    assert not torch.allclose(layer(x)[0][:, 4:], layer(changed)[0][:, 4:])


def test_sequences_do_not_meet(layer):
    x = tokens(batch=3, length=9)
    both, state = layer(x)
    alone, of_one = layer(x[1:2])
    torch.testing.assert_close(both[1:2], alone, **CLOSE)
    for name, tensor in state.items():
        torch.testing.assert_close(tensor[1:2], of_one[name], **CLOSE)


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_changes_nothing(layer, side):
    x, lengths = tokens(batch=3, length=9), (9, 4, 1)
    first = {"left": lambda n: 9 - n, "right": lambda n: 0, "both": lambda n: (9 - n) // 2}[side]
    mask = torch.zeros(3, 9, dtype=torch.bool)
    for row, n in enumerate(lengths):
        mask[row, first(n) : first(n) + n] = True
    begun = layer(tokens(batch=3, length=2, seed=7))[1]
    y, state = layer(x, begun, mask)
    after = layer(tokens(batch=3, length=2, seed=8), state)[0]
    assert torch.equal(y[~mask], torch.zeros_like(y[~mask]))
    for row in range(3):
        one = {name: tensor[row : row + 1] for name, tensor in begun.items()}
        wanted, then = layer(x[row : row + 1, mask[row]], one)
        torch.testing.assert_close(y[row, mask[row]], wanted[0], **CLOSE)
        torch.testing.assert_close(
            after[row], layer(tokens(batch=3, length=2, seed=8)[row : row + 1], then)[0][0], **CLOSE
        )


def test_its_state_has_the_size_that_it_says(layer):
    for length in (1, 12):
        state = layer(tokens(batch=2, length=length))[1]
        assert layer.state_size(length) == sum(tensor.numel() for tensor in state.values()) / 2
        assert all(len(tensor) == 2 for tensor in state.values())


def test_a_begun_state_is_not_written_to(layer):
    begun = layer(tokens(length=4))[1]
    kept = {name: tensor.clone() for name, tensor in begun.items()}
    layer(tokens(length=5, seed=2), begun)
    layer.step(tokens(length=1)[:, 0], begun)
    for name, tensor in kept.items():
        assert torch.equal(tensor, begun[name])


def test_half_precision_stays_near(entry):
    exact, half = made(entry, torch.float32), made(entry, torch.float32).to(torch.bfloat16)
    exact.load_state_dict({name: tensor.float() for name, tensor in half.state_dict().items()})
    x = tokens(length=33, dtype=torch.float32).bfloat16()
    y, state = half(x)
    assert y.dtype == torch.bfloat16
    assert all(t.dtype in (torch.float32, torch.complex64, torch.bool, torch.int64) for t in state.values())
    wanted = exact(x.float())[0]
    assert (y.float() - wanted).abs().mean() < 0.05 * wanted.abs().mean() + 0.01


def test_a_long_text_stays_finite(entry):
    layer = made(entry, torch.float32)
    with torch.no_grad():
        y, state = layer(3 * tokens(batch=1, length=4096, dtype=torch.float32))
    assert y.isfinite().all()
    assert all(tensor.isfinite().all() for tensor in state.values())


def test_its_weights_and_its_state_are_all_there_is(entry, tmp_path):
    from safetensors.torch import load_file, save_file

    layer, x = made(entry), tokens(length=5)
    y, state = layer(x)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "state.safetensors")
    torch.manual_seed(9)
    other = entry.target(WIDTH).double().eval()
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(x)[0], y, **CLOSE)
    more = tokens(length=4, seed=3)
    torch.testing.assert_close(
        other(more, load_file(tmp_path / "state.safetensors"))[0], layer(more, state)[0], **CLOSE
    )


def test_memories_of_parts_make_the_memory_of_the_whole(layer):
    if not isinstance(layer, Mergeable):
        pytest.skip("what this layer remembers of a text depends on the text before it")
    x = tokens(length=13)
    merged = layer.merge(layer(x[:, :6])[1], layer(x[:, 6:])[1])
    same(merged, layer(x)[1])


def test_tokens_of_another_shape_are_refused(layer):
    for shape in ((2, 5, WIDTH + 1), (5, WIDTH), (2, 0, WIDTH)):
        with pytest.raises(InvalidInput, match="give"):
            layer(torch.zeros(shape, dtype=torch.float64))


def test_a_state_of_another_batch_is_refused(layer):
    with pytest.raises(InvalidInput, match="sequences"):
        layer(tokens(batch=2), layer.init_state(3))
    with pytest.raises(InvalidInput, match="mask"):
        layer(tokens(batch=2), mask=torch.ones(2, 4, dtype=torch.bool))
