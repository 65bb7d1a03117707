"""Trees level by level against recursion, and errors that weigh late steps."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.recurrent.rescaled_error import rescaled_error, weights_of_lags
from mnemos.neural.recurrent.tree_lstm import TreeLSTM, Trees


@pytest.mark.parametrize("plain", [False, True])
def test_levels_at_once_are_the_recursion(plain):
    torch.manual_seed(0)
    model = TreeLSTM(4, 5, plain=plain).double()
    if not plain:
        model.peep.data.normal_()
        model.peep_out.data.normal_()
    left, right = [-1, -1, 0, -1, 2, -1, -1, 5], [-1, -1, 1, -1, 3, -1, -1, 6]
    trees = Trees.of(left, right, [4, 7])
    x = torch.randn(8, 4, dtype=torch.float64)

    def memory(node):
        empty = torch.zeros(1, 5, dtype=torch.float64)
        sides = [(empty, empty) if child < 0 else memory(child) for child in (left[node], right[node])]
        (h_l, c_l), (h_r, c_r) = sides
        return model.node(model.enter(x[node : node + 1]), h_l, h_r, c_l, c_r)

    h, c = model(x, trees)
    for node in range(8):
        wanted = memory(node)
        torch.testing.assert_close(h[node : node + 1], wanted[0])
        if not plain:
            torch.testing.assert_close(c[node : node + 1], wanted[1])
    assert trees.level.tolist() == [0, 0, 1, 0, 2, 0, 0, 1]
    changed = x.clone()
    changed[:5] += 1
    torch.testing.assert_close(model(changed, trees)[0][7], h[7])  # the other tree


def test_a_parent_before_its_child_is_refused():
    with pytest.raises(InvalidInput, match="before"):
        Trees.of([1, -1], [1, -1], [0])
    with pytest.raises(InvalidInput, match="one of each node"):
        TreeLSTM(2)(torch.zeros(3, 2), Trees.of([-1], [-1], [0]))


def test_weights_that_grow_let_long_lags_count():
    """For white noise the error of a wrong kernel is the sum of squared mistakes by the weights of their lags."""
    torch.manual_seed(0)
    T, mistake = 12, torch.randn(12, dtype=torch.float64)
    x = torch.randn(40_000, T, dtype=torch.float64)
    y = sum(mistake[s] * torch.nn.functional.pad(x, (s, 0))[:, :T] for s in range(T))
    for power in (0.0, 2.0):
        tails = weights_of_lags(T, power).double()
        found = rescaled_error(y, torch.zeros_like(y), power)
        assert float(found) == pytest.approx(float((mistake**2 * tails).sum()), rel=0.03)
    assert weights_of_lags(100, 0.0)[90] == pytest.approx(0.1)
    assert weights_of_lags(100, 4.0)[90] > 0.4
    torch.testing.assert_close(rescaled_error(y, 0 * y, 0.0), y.square().mean())
    with pytest.raises(InvalidInput, match="power"):
        rescaled_error(y, y, -1.0)
