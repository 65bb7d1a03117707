"""Attention over one copy of a shared prefix equals attention over a copy for each request."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from mnemos.activation.paged.relay import SharedPrefix  # noqa: E402
from mnemos.activation.paged.softmax import ChunkedAttention, Visibility, naive  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402

torch.set_num_threads(1)
D = 8
few = st.integers(1, 4)


@settings(max_examples=50, deadline=None)
@given(few, few, few, few, st.integers(1, 40), st.integers(0, 9), st.integers(0, 99))
def test_relay_equals_the_replicated_prefix(b, h, g, q, s, t, seed):
    made = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=made)  # noqa: E731
    query, prefix = draw(b, h * g, q, D), draw(2, h, s, D)
    own = draw(2, b, h, q + t, D)
    whole = torch.cat([prefix[:, None].expand(2, b, h, s, D), own], 3)
    expected, expected_lse = naive(query, *whole, Visibility(offset=s + t))
    shared = SharedPrefix(*prefix, ChunkedAttention(3, 7))
    output, lse = shared.attend(query, *own, Visibility(offset=t))
    assert (output - expected).abs().max() < 1e-5
    assert (lse - expected_lse).abs().max() < 1e-5


def test_padding_and_causal_order_hold_for_the_requests_own_entries():
    b, h, q, s = 3, 2, 4, 9
    query, prefix, own = torch.randn(b, 2 * h, q, D), torch.randn(2, h, s, D), torch.randn(2, b, h, 6, D)
    mask = torch.ones(b, 1, 1, 6, dtype=torch.bool)
    mask[1, ..., :5] = False
    whole = torch.cat([prefix[:, None].expand(2, b, h, s, D), own], 3)
    everywhere = torch.cat([torch.ones(b, 1, 1, s, dtype=torch.bool), mask], 3)
    expected, _ = naive(query, *whole, Visibility(offset=s + 2, mask=everywhere))
    output, _ = SharedPrefix(*prefix).attend(query, *own, Visibility(offset=2, mask=mask))
    assert (output - expected).abs().max() < 1e-5


def test_the_first_token_of_a_request_sees_the_prefix_alone():
    prefix, query = torch.randn(2, 2, 5, D), torch.randn(3, 4, 1, D)
    nothing = torch.zeros(2, 3, 2, 0, D)
    output, _ = SharedPrefix(*prefix).attend(query, *nothing)
    expected, _ = naive(query, *prefix[:, None].expand(2, 3, 2, 5, D))
    assert (output - expected).abs().max() < 1e-5


def test_the_bytes_of_the_prefix_do_not_grow_with_the_requests():
    prefix = torch.randn(2, 2, 100, D)
    assert SharedPrefix(*prefix).nbytes == 2 * 2 * 100 * D * 4


def test_a_prefix_of_another_shape_is_refused():
    with pytest.raises(InvalidInput, match=r"both \(H, s, D\)"):
        SharedPrefix(torch.zeros(1, 2, 5, D), torch.zeros(1, 2, 5, D))
    with pytest.raises(InvalidInput, match="s of 1 or more"):
        SharedPrefix(torch.zeros(2, 0, D), torch.zeros(2, 0, D))
