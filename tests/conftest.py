"""What all tests share: a clock, two trained models, no file of settings, and no deadlines in hypothesis."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.postgres_server", "tests.on_postgres"]  # fixtures: postgres_server, postgres_url

FIXTURES = Path(__file__).parent / "fixtures"
os.environ["MNEMOS_CONFIG"] = os.devnull  # the file of settings of whoever runs the tests has no say
os.environ["MNEMOS_TIMEZONE"] = "UTC"  # nor has the zone of the machine

settings.register_profile("mnemos", deadline=None)
settings.load_profile("mnemos")


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock(request):
    """A clock that stands at the T0 of the module."""
    return Clock(request.module.T0)


@pytest.fixture(scope="session")
def small():
    """The trained "recall" model of mnemos.bench.kv.tiny_models with its record. Needs torch and transformers."""
    from mnemos.bench.kv import checkpoints, tiny_models

    return checkpoints.load(FIXTURES / "recall-0", tiny_models.untrained)


@pytest.fixture(scope="session")
def small_model(small):
    """A LlamaForCausalLM that answers the tasks of mnemos.bench.kv.tasks: do not change it, it is shared."""
    return small.model


@pytest.fixture(scope="session")
def small_masked():
    """The trained masked-diffusion model of mnemos.bench.kv.masked_lm with its record. Needs torch."""
    from mnemos.bench.kv import checkpoints, masked_lm

    return checkpoints.load(FIXTURES / "masked-0", lambda _: masked_lm.MaskedLM(masked_lm.TinyMaskedLM().shape))


@pytest.fixture(scope="session")
def trained_layer():
    """A function that loads weights of mnemos.bench.kv.trained_layers by name into what another function builds."""
    from mnemos.bench.kv import checkpoints

    return lambda name, build: checkpoints.load(FIXTURES / name, lambda _: build()).model
