"""Groups of tokens know of each other through their latents alone, and never of a later one."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.slots.far_reaching import FarReaching


def moved(latents, at):
    """Return how far each of 12 outputs moves when an input is changed."""
    torch.manual_seed(0)
    model = FarReaching(8, group=4, latents=latents, blocks=2).double()
    x = torch.randn(2, 12, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, at] = torch.randn(2, 8, dtype=torch.float64)
    with torch.no_grad():
        return (model(x) - model(changed)).abs().amax((0, 2))


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_token_reaches_later_groups_through_latents_and_no_earlier_token(at):
    apart = moved(2, at)
    assert (apart[:at] == 0).all()
    assert (apart[at:] > 1e-6).all()


def test_without_latents_a_token_reaches_its_own_group_only():
    apart = moved(0, 5)
    assert (apart[[0, 1, 2, 3, 4, 8, 9, 10, 11]] == 0).all()
    assert (apart[5:8] > 1e-6).all()


def test_one_group_is_attention_over_the_whole_text():
    torch.manual_seed(0)
    model = FarReaching(8, group=12, latents=0, blocks=1).double()
    x = torch.randn(1, 12, 8, dtype=torch.float64)
    block, seen = model.blocks[0]["local"], x + model.place
    out = []
    for t in range(12):
        q = block.q(block.norms[0](seen[:, t]))
        k, v = block.kv(block.norms[1](seen[:, : t + 1])).chunk(2, -1)
        heads = [slice(0, 4), slice(4, 8)]
        read = [((q[:, None, h] * k[..., h]).sum(-1) / 2).softmax(1)[..., None] * v[..., h] for h in heads]
        token = seen[:, t] + block.out(torch.cat([r.sum(1) for r in read], -1))
        out.append(token + block.feed(token))
    torch.testing.assert_close(model(x), torch.stack(out, 1))


def test_a_text_that_groups_do_not_divide_is_named():
    with pytest.raises(InvalidInput, match="multiple of 4"):
        FarReaching(8, group=4)(torch.randn(1, 10, 8))
