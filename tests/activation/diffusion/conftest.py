"""An untrained model, on which exactness and counts can be seen at once."""

import pytest


@pytest.fixture(scope="session")
def model():
    """A masked-diffusion model of random weights, large enough that what is cached changes what is decoded.

    In double precision, so that what differs is not the order in which numbers are added.
    """
    import torch

    from mnemos.activation.diffusion.model import MaskedLM, Shape

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = MaskedLM(Shape(20, hidden=32, width=16, mlp=32)).double().eval().requires_grad_(False)
    for weight in made.parameters():
        weight.mul_(3)
    return made


@pytest.fixture(scope="session")
def ids(model):
    """Three prompts of 14 tokens with 16 masks after them."""
    import torch

    made = torch.randint(0, 20, (3, 30), generator=torch.Generator().manual_seed(1))
    made[:, 14:] = model.mask
    return made
