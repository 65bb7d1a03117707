"""What the tests of activation memory share: a trained model. Without torch and transformers they are not collected."""

import importlib.util

import pytest

if not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")):
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session")
def small():
    """The trained "recall" model with its record: from the user's cache, else trained once (about a minute)."""
    from mnemos.bench.kv.tiny_models import train_tiny_model

    return train_tiny_model("recall")


@pytest.fixture(scope="session")
def small_model(small):
    """A LlamaForCausalLM that answers the tasks of mnemos.bench.kv.tasks: do not change it, it is shared."""
    return small.model
