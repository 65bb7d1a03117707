"""The recommended methods: each holds all tokens in few bytes, and whatever is read later is compressed too."""

from __future__ import annotations

import pytest
import torch

from mnemos.activation import MemoryCache
from mnemos.activation.compress.spectrum import find_spectrum
from mnemos.activation.recipes import for_chat, for_documents, for_long_answers


@pytest.fixture(scope="module")
def text():
    return torch.randint(3, 99, (1, 500), generator=torch.Generator().manual_seed(5))


def test_a_document_takes_its_share_and_every_token_is_held(llama, text, read_in):
    spectrum = find_spectrum(llama, text, MemoryCache(llama).rotary())
    cache, _ = read_in(llama, for_documents(0.125, spectrum), text, (500,))
    full, _ = read_in(llama, None, text, (500,))
    assert 0.1 * full.nbytes < cache.nbytes <= 0.126 * full.nbytes
    assert cache.held == full.held


def test_a_document_in_the_second_turn_of_a_chat_is_compressed(llama, text, read_in):
    cache, _ = read_in(llama, for_chat(), text, (40, 400, 1))
    full, _ = read_in(llama, None, text, (40, 400, 1))
    assert cache.nbytes < 0.6 * full.nbytes
    assert cache.held == full.held
    cache.crop(-50)
    assert cache.tokens_read == 391


def test_a_long_answer_is_compressed_as_it_grows(llama, text, read_in):
    cache, _ = read_in(llama, for_long_answers(), text, (20, *[40] * 12))
    full, _ = read_in(llama, None, text, (20, *[40] * 12))
    assert cache.nbytes < 0.4 * full.nbytes
    assert cache.held == full.held
