"""Virtual tensors: memory grows with what is written and falls with what is released."""

import sys

import pytest

torch = pytest.importorskip("torch")

from mnemos.activation.paged.softmax import naive  # noqa: E402
from mnemos.activation.paged.virtual import PAGE, VirtualTensor  # noqa: E402
from mnemos.errors import InvalidInput, StoreError  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual tensors need Linux")
torch.set_num_threads(1)
H, D = 2, 64  # a token of keys is 512 bytes: 8 to a page of 4 KiB
ROW = H * D * 4


@pytest.fixture(params=["anonymous", "file"])
def reserve(request, tmp_path):
    def make(*shape):
        return VirtualTensor(
            shape, file=tmp_path / f"kv{len(list(tmp_path.iterdir()))}" if request.param == "file" else None
        )

    return make


def test_a_gigabyte_reserved_takes_only_the_pages_that_are_written(reserve):
    v = reserve(2**21, H, D)
    assert v.tensor.nbytes == v.reserved == 2**30
    assert v.resident == 0
    for tokens in (1, 8, 9, 1000):
        v.tensor[:tokens] = 1.0
        written = tokens * ROW
        assert written <= v.resident < written + PAGE  # less than a page is wasted
    v.tensor[2**20] = 1.0
    assert v.resident == -(-1000 * ROW // PAGE) * PAGE + PAGE


def test_what_is_released_leaves_the_memory_and_the_rest_stays(reserve):
    v = reserve(4096, H, D)
    v.tensor.copy_(torch.arange(4096.0)[:, None, None].expand(4096, H, D))
    before = v.resident
    per = PAGE // ROW
    assert v.release(per + 1, 5 * per + 3) == 3 * PAGE  # only the pages wholly inside
    assert before - v.resident == 3 * PAGE
    kept = v.tensor[:, 0, 0]
    assert torch.equal(kept[: 2 * per], torch.arange(2.0 * per))
    assert torch.equal(kept[5 * per :], torch.arange(5.0 * per, 4096))
    assert (kept[2 * per : 5 * per] == 0).all()
    v.release(per)
    assert v.resident <= PAGE
    v.release()
    assert v.resident == 0
    v.tensor[3] = 5.0  # and can be used again
    assert v.tensor[3, 1, 7] == 5.0
    assert v.resident == PAGE


def test_a_released_file_gives_its_blocks_back(tmp_path):
    path = tmp_path / "kv"
    v = VirtualTensor((4096, H, D), file=path)
    assert path.stat().st_size == v.reserved
    assert path.stat().st_blocks * 512 < PAGE
    v.tensor.fill_(1.0)
    v.release(1000)
    v._map.flush()
    assert path.stat().st_blocks * 512 <= 1001 * ROW + PAGE


def test_attention_over_a_slice_equals_the_plain_tensor(reserve):
    v = reserve(1000, 2, H, D)
    data = torch.randn(77, 2, H, D)
    v.tensor[:77] = data
    query = torch.randn(1, 2 * H, 3, D)
    expected, _ = naive(query, *data.permute(1, 2, 0, 3)[:, None].contiguous())
    output, _ = naive(query, *v.tensor[:77].permute(1, 2, 0, 3)[:, None])
    assert (output - expected).abs().max() < 1e-5


def test_the_memory_outlives_its_owner_while_a_slice_is_held(reserve):
    v = reserve(100, H, D)
    v.tensor.fill_(3.0)
    piece = v.tensor[50:]
    del v
    assert (piece == 3.0).all()


def test_misuse_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InvalidInput, match="1 or more"):
        VirtualTensor((0, 4))
    with pytest.raises(InvalidInput, match="cannot be released"):
        VirtualTensor((10, 4)).release(5, 11)
    (tmp_path / "taken").write_bytes(b"somebody's")
    with pytest.raises(StoreError, match="refused"):
        VirtualTensor((10, 4), file=tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes() == b"somebody's"
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(InvalidInput, match="need Linux"):
        VirtualTensor((10, 4))
