"""Memories of pairs against closed forms: least squares, exact erasure, decorrelated keys, kernel regression."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.associative.kernel_regression import NoveltyGatedRegression
from mnemos.neural.associative.larimar import Larimar
from mnemos.neural.associative.separate_keys import SeparateKeys


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_larimar_in_pieces_is_the_ridge_solution_of_all_and_forgets_exactly():
    keys, values = (
        torch.randn(n, w, generator=rng(s), dtype=torch.float64) for s, (n, w) in enumerate(((40, 16), (40, 5)))
    )
    memory = Larimar(16, 5, slots=12, ridge=0.1)
    for k, v in zip(keys.split([7, 13, 20]), values.split([7, 13, 20]), strict=True):
        memory.write(k, v)
    w = memory.address(keys)
    exact = torch.linalg.solve(w.T @ w + 0.1 * torch.eye(12, dtype=torch.float64), w.T @ values)
    torch.testing.assert_close(memory.memory, exact, atol=1e-10, rtol=1e-8)
    memory.erase(keys[5:25], values[5:25])
    without = Larimar(16, 5, slots=12, ridge=0.1)
    without.write(torch.cat([keys[:5], keys[25:]]), torch.cat([values[:5], values[25:]]))
    torch.testing.assert_close(memory.memory, without.memory, atol=1e-9, rtol=1e-7)
    with pytest.raises(InvalidInput, match="erase"):
        memory.erase(keys, values)


def test_larimar_is_exact_up_to_its_slots_and_then_gets_worse():
    error = []
    for count in (24, 32, 64, 128):
        keys, values = torch.randn(count, 32, generator=rng()), torch.randn(count, 8, generator=rng(1))
        memory = Larimar(32, 8)
        memory.write(keys, values)
        error.append(float((memory.read(keys) - values).square().mean()))
    assert max(error[:2]) < 1e-4
    assert 0.2 < error[2] < error[3] < 1


def alike(count=40, width=32):
    """Return keys that share most of what they are."""
    return torch.randn(1, width, generator=rng()) + torch.randn(count, width, generator=rng(1)) * 0.5


def right(memory, count=24):
    keys, values = alike(count), torch.nn.functional.normalize(torch.randn(count, 32, generator=rng(2)), dim=-1)
    memory.write(keys, values)
    return float(((memory.read(keys) @ values.T).argmax(1) == torch.arange(count)).float().mean())


def test_decorrelated_and_separated_keys_tell_alike_items_apart():
    raw, whitened, sparse = (right(SeparateKeys(32, 32, keys)) for keys in ("raw", "whitened", "sparse"))
    assert raw < 0.3
    assert whitened == 1.0
    assert sparse > raw + 0.3


def test_whitening_does_not_depend_on_the_order_of_writes():
    keys, values = alike(20), torch.randn(20, 32, generator=rng(3))
    one, other = SeparateKeys(32, 32), SeparateKeys(32, 32)
    one.write(keys, values)
    for i in reversed(range(20)):
        other.write(keys[i : i + 1], values[i : i + 1])
    torch.testing.assert_close(one.read(keys), other.read(keys), atol=1e-6, rtol=1e-5)


def test_newton_with_all_samples_is_kernel_ridge_regression():
    x, y = (
        torch.rand(25, 2, generator=rng(), dtype=torch.float64) * 4,
        torch.randn(25, 1, generator=rng(1), dtype=torch.float64),
    )
    memory = NoveltyGatedRegression(2, scale=0.5, damping=0.3, admit="all")
    memory.write(x, y)
    kernel = (-torch.cdist(x, x).square() / 0.5).exp()
    exact = kernel @ torch.linalg.solve(kernel + 0.3 * torch.eye(25, dtype=torch.float64), y)
    torch.testing.assert_close(memory.read(x), exact, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        memory.inverse, torch.linalg.inv(kernel + 1e-6 * torch.eye(25, dtype=torch.float64)), atol=1e-5, rtol=1e-4
    )


def streamed(samples, admit, most=10_000):
    """Return the loss of all predictions of a stream, and the sizes of the basis."""
    memory = NoveltyGatedRegression(1, scale=0.5, admit=admit, most=most)
    y = (2 * samples).sin() + 0.1 * torch.randn(len(samples), 1, generator=rng(1), dtype=torch.float64)
    loss, sizes = 0.0, []
    for one, value in zip(samples.split(1), y.split(1), strict=True):
        loss += float((memory.read(one) - value).square())
        memory.write(one, value)
        sizes.append(len(memory.basis))
    return loss, sizes


def test_the_basis_of_novel_samples_saturates_and_is_as_good_as_all():
    anywhere = torch.rand(300, 1, generator=rng(), dtype=torch.float64) * 6
    novel, sizes = streamed(anywhere, "novel")
    assert sizes[-1] == sizes[99] < 30
    assert novel < 1.05 * streamed(anywhere, "all")[0]
    drifting = anywhere / 4 + torch.linspace(0, 6, 300, dtype=torch.float64)[:, None]
    novel, sizes = streamed(drifting, "novel")
    assert novel < 0.7 * streamed(drifting, "all", sizes[-1])[0]
