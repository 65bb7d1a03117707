"""The loss in chunks is the plain loss, and so are its gradients."""

import pytest
import torch
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.footprint.activations.chunked_loss import chunked_cross_entropy


@pytest.mark.parametrize("chunk", [1, 7, 256])
@pytest.mark.parametrize("learned", [True, False])
def test_loss_and_gradients_are_those_of_all_logits(chunk, learned):
    torch.manual_seed(0)
    hidden = torch.randn(3, 11, 16, requires_grad=True)
    weight = torch.randn(50, 16, requires_grad=learned)
    targets = torch.randint(50, (3, 11))
    targets[0, :4] = -100
    found = []
    for loss in (
        F.cross_entropy((hidden @ weight.T).flatten(0, 1), targets.flatten()),
        chunked_cross_entropy(hidden, weight, targets, chunk),
    ):
        (3 * loss).backward()
        found.append([loss.detach(), hidden.grad, weight.grad])
        hidden.grad = weight.grad = None
    for plain, chunked in zip(*found, strict=True):
        assert plain is chunked is None or torch.allclose(plain, chunked, rtol=1e-5, atol=1e-6)


def test_tokens_that_do_not_count_and_shapes_that_do_not_fit():
    hidden, weight = torch.randn(4, 8, requires_grad=True), torch.randn(5, 8)
    loss = chunked_cross_entropy(hidden, weight, torch.full((4,), -100))
    loss.backward()
    assert loss == 0
    assert hidden.grad.abs().max() == 0
    with torch.no_grad():
        assert chunked_cross_entropy(hidden, weight, torch.zeros(4, dtype=torch.long)) > 0
    with pytest.raises(InvalidInput, match="do not fit"):
        chunked_cross_entropy(hidden, weight, torch.zeros(3, dtype=torch.long))
    with pytest.raises(InvalidInput, match="chunk is 0"):
        chunked_cross_entropy(hidden, weight, torch.zeros(4, dtype=torch.long), chunk=0)
