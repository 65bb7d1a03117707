"""A tiny model behind the chat API: random weights, bytes as tokens, the real `openai` client."""

from __future__ import annotations

import importlib.util

import pytest

if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
    from tests.serve.local import tiny
else:
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with a model and a tokenizer, as `--model` takes it."""
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def local(tmp_path, folder):
    """A served model over an empty root: a `Talk` of the tests of the proxy, with `model` and `engine`."""
    with tiny.talking(tmp_path / "root", folder) as talk:
        yield talk
