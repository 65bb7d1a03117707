"""What all tests share: a clock, two trained models, no file of settings, examples of hypothesis, and little work on garbage."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from mnemos.store import reserve

pytest_plugins = ["tests.postgres_server", "tests.on_postgres"]  # fixtures: postgres_server, postgres_url

FIXTURES = Path(__file__).parent / "fixtures"
os.environ["MNEMOS_CONFIG"] = os.devnull  # the file of settings of whoever runs the tests has no say
os.environ["MNEMOS_TIMEZONE"] = "UTC"  # nor has the zone of the machine
reserve.SIZE = 64 * 1024  # not 2 MB of drawn bytes for each of thousands of roots; test_full_disk has all of it

examples = int(os.environ.get("MNEMOS_EXAMPLES", "50"))  # of a property whose test says no number
settings.register_profile("mnemos", deadline=None, max_examples=examples)
settings.load_profile("mnemos")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage while tests are collected, and never again in what is there by then: with torch it takes a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


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
