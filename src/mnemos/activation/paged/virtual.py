"""Virtual memory for keys and values: one contiguous tensor that takes memory only for the pages written."""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mnemos.errors import InvalidInput, StoreError
from mnemos.registry import Paper, register

PAGE = mmap.PAGESIZE
NORESERVE = 0x4000  # Linux: a reservation does not count against the memory that may be promised


@register(
    "vattention",
    papers=(
        Paper(
            "vAttention: Dynamic Memory Management for Serving LLMs without PagedAttention",
            "2405.04437",
            code="microsoft/vattention",
        ),
    ),
    task="kv-pages",
)
class VirtualTensor:
    """Reserve contiguous virtual memory as one tensor: pages take memory when written and return it when released.

    Any code that takes a tensor can read it, without a block table. The paper reserves space for the longest sequence
    with CUDA's virtual memory functions and maps pages as tokens arrive. On the CPU the kernel does that: the
    reservation is an anonymous private mapping (or, with `file`, a sparse file, so that pages can leave the memory),
    which is filled on demand and released with madvise(MADV_DONTNEED) or by punching a hole. Put the tokens in the
    first dimension: then growth is contiguous, and a sequence wastes less than a page at its end.

    What was not written reads as 0. Only whole pages are released; what shares a page with other rows is kept. Linux
    only. The memory lives as long as the tensor and its slices.
    """

    tensor: Tensor  # of the reserved shape

    def __init__(
        self,
        shape: Sequence[int],  # tokens first
        dtype: torch.dtype = torch.float32,  # of the tensor
        file: Path | None = None,  # a new file that the pages may leave the memory for; None keeps them in memory
    ) -> None:
        """Reserve the space; takes no memory. Raises InvalidInput off Linux, StoreError where it is refused."""
        if sys.platform != "linux":
            raise InvalidInput(f"virtual tensors need Linux, this is {sys.platform}: use a Pool of pages instead.")
        if not shape or min(shape) < 1:
            raise InvalidInput(f"a virtual tensor of shape {tuple(shape)}: expected dimensions of 1 or more.")
        self.file = file
        self.reserved: int = math.prod(shape) * dtype.itemsize  # bytes
        try:
            self._map = _mapping(self.reserved, file)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.reserved} bytes of virtual memory were refused: {error}. Reserve fewer."
            ) from error
        with contextlib.suppress(OSError):  # page by page, not 2 MB at the first write; a kernel need not know of it
            self._map.madvise(mmap.MADV_NOHUGEPAGE if file is None else mmap.MADV_RANDOM)
        elements = math.prod(shape)
        self.tensor = torch.frombuffer(self._map, dtype=dtype, count=elements).view(*shape)
        self._address = self.tensor.data_ptr()

    @property
    def resident(self) -> int:
        """Bytes in memory now (mincore), in whole pages. Of a file: the bytes of its pages in the page cache."""
        pages = -(-self.reserved // PAGE)
        flags = (ctypes.c_ubyte * pages)()
        if _libc().mincore(ctypes.c_void_p(self._address), ctypes.c_size_t(self.reserved), flags) != 0:
            raise StoreError(f"mincore failed: {os.strerror(ctypes.get_errno())}.")
        return sum(flag & 1 for flag in flags) * PAGE

    def release(self, start: int = 0, stop: int | None = None) -> int:
        """Release rows start..stop of the first dimension and return the bytes of the whole pages among them.

        The pages read as 0 from then on. Rows that share a page with rows outside are kept. Without `stop`, all rows to
        the end of the tensor are released, with its last page.
        """
        rows: int = self.tensor.shape[0]
        row = self.reserved // rows
        if not 0 <= start <= (rows if stop is None else stop) <= rows:
            raise InvalidInput(
                f"rows {start} to {stop} of {rows} cannot be released: give 0 <= start <= stop <= {rows}."
            )
        first = -(-start * row // PAGE) * PAGE
        end = -(-self.reserved // PAGE) * PAGE if stop in (None, rows) else (stop or 0) * row // PAGE * PAGE
        if end <= first:
            return 0
        # A private anonymous page is dropped; the page of a file would be read back, so its hole is punched.
        self._map.madvise(mmap.MADV_DONTNEED if self.file is None else mmap.MADV_REMOVE, first, end - first)
        return end - first


def _mapping(nbytes: int, file: Path | None) -> mmap.mmap:
    if file is None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
        return mmap.mmap(-1, nbytes, flags=flags)
    with file.open("x+b") as handle:
        handle.truncate(nbytes)  # sparse: no block is allocated
        return mmap.mmap(handle.fileno(), nbytes)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
