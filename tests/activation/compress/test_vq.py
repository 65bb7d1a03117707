"""Codebooks: what they give back, beside a naive search, and that more bytes give more back."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.compress.vq import Codebook
from mnemos.errors import InvalidInput


@pytest.fixture(scope="module")
def vectors():
    return torch.randn(300, 16, generator=torch.Generator().manual_seed(3))


def error(book, vectors):
    return float((book.decode(book.encode(vectors)) - vectors).square().mean())


def test_a_code_is_the_nearest_centroid_of_each_part(vectors):
    book = Codebook.fit(vectors, 4, codes=20)
    codes = book.encode(vectors[:40])
    assert codes.shape == (40, 1, 4)
    assert codes.dtype == torch.uint8
    for i in range(40):
        for part in range(4):
            own = vectors[i, 4 * part : 4 * part + 4]
            assert int(codes[i, 0, part]) == int((book.centroids[0, part] - own).square().sum(1).argmin())
            decoded = book.decode(codes[i])[4 * part : 4 * part + 4]
            assert torch.equal(decoded, book.centroids[0, part, int(codes[i, 0, part])])


def test_more_parts_levels_and_codes_give_more_back(vectors):
    errors = [error(Codebook.fit(vectors, *shape), vectors) for shape in ((2, 1, 8), (4, 1, 8), (4, 1, 32), (4, 2, 32))]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 1.0


def test_as_many_centroids_as_vectors_lose_nothing(vectors):
    book = Codebook.fit(vectors[:50], 2)
    assert error(book, vectors[:50]) < 1e-10
    assert book.nbytes == 50 * 16 * 4


def test_shapes_are_kept(vectors):
    book = Codebook.fit(vectors, 8, 2, 16)
    block = vectors[:24].view(1, 2, 12, 16)
    assert book.encode(block).shape == (1, 2, 12, 2, 8)
    assert torch.equal(book.decode(book.encode(block)).view(24, 16), book.decode(book.encode(vectors[:24])))


@pytest.mark.parametrize("shape", [(3,), (0,), (4, 0), (4, 1, 300)])
def test_nonsense_is_refused(vectors, shape):
    with pytest.raises(InvalidInput, match="cannot be cut"):
        Codebook.fit(vectors, *shape)
