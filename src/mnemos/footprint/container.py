"""A file without a name that holds blocks of bytes: where savers and offloaders put what is not in memory."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

BLOCK = 1 << 20  # bytes between two looks at the throttle


class Container:
    """A file in a folder that is gone when it is closed, or when the process ends however it ends.

    A block takes as many bytes as it has, and a place that was freed goes to the next block of that size: training asks for the
    same sizes in every step, so the file stays as small as what is in it at most. Threads may share a container.
    """

    def __init__(self, folder: Path | None = None, throttle: float | None = None, through: bool = False) -> None:
        self.throttle = throttle  # bytes a second that are written, and read, at most
        self.through = through  # whether blocks are taken out of the system's cache once they are on the disk
        self.size = 0  # bytes of the file
        self._file = tempfile.TemporaryFile(dir=folder, prefix="mnemos-footprint-")  # noqa: SIM115  (closed by close)
        self._free: dict[int, list[int]] = {}
        self._lock = threading.Lock()

    def place(self, nbytes: int) -> int:
        """Return the offset of a new block."""
        with self._lock:
            if freed := self._free.get(nbytes):
                return freed.pop()
            self.size += nbytes
            return self.size - nbytes

    def free(self, offset: int, nbytes: int) -> None:
        """Let a place be used for another block."""
        with self._lock:
            self._free.setdefault(nbytes, []).append(offset)

    def write(self, offset: int, tensor: Tensor) -> None:
        """Write a contiguous tensor of the CPU to its place. Raises OSError where the disk is full."""
        data, done = memory_of(tensor), 0
        while done < len(data):
            began = time.perf_counter()
            count = os.pwrite(self._file.fileno(), data[done : done + BLOCK], offset + done)
            self._wait(count, began)
            done += count
        if self.through:
            os.fdatasync(self._file.fileno())
            drop_from_cache(self._file.fileno(), offset, len(data))

    def read(self, offset: int, into: Tensor) -> Tensor:
        """Fill a contiguous tensor of the CPU with what was written at a place, and return it."""
        data, done = memory_of(into), 0
        while done < len(data):
            began = time.perf_counter()
            count = os.preadv(self._file.fileno(), [data[done : done + BLOCK]], offset + done)
            if not count:
                raise OSError(f"nothing is at {offset + done} of a container of {self.size} bytes: it was not written.")
            self._wait(count, began)
            done += count
        if self.through:
            drop_from_cache(self._file.fileno(), offset, len(data))
        return into

    def close(self) -> None:
        """Give the file back to the system."""
        self._file.close()

    def _wait(self, count: int, began: float) -> None:
        if self.throttle is not None:
            time.sleep(max(0.0, count / self.throttle - (time.perf_counter() - began)))


def drop_from_cache(file: int, offset: int = 0, nbytes: int = 0) -> None:
    """Let the system's cache not hold what was written or read of a file; of all of it, where nothing is said."""
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(file, offset, nbytes, os.POSIX_FADV_DONTNEED)


def memory_of(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor; nothing is copied."""
    return memoryview(tensor.detach().reshape(-1).view(torch.uint8).numpy())


class Striped:
    """Blocks whose bytes are spread over several containers, which are written and read at the same time."""

    def __init__(self, containers: Sequence[Container]) -> None:
        self.containers = containers
        self._places: list[tuple[int, ...]] = []
        self._threads = ThreadPoolExecutor(len(containers), thread_name_prefix="mnemos-stripe")

    def place(self, nbytes: int) -> int:
        """Return the number of a new block."""
        sizes = [
            len(part) for part in torch.empty(nbytes, dtype=torch.uint8, device="meta").chunk(len(self.containers))
        ]
        self._places.append(tuple(c.place(size) for c, size in zip(self.containers, sizes, strict=False)))
        return len(self._places) - 1

    def write(self, number: int, tensor: Tensor) -> None:
        """Write a contiguous tensor of the CPU to its places."""
        list(self._threads.map(lambda part: part[0].write(part[1], part[2]), self._parts(number, tensor)))

    def read(self, number: int, into: Tensor) -> Tensor:
        """Fill a contiguous tensor of the CPU with what was written, and return it."""
        list(self._threads.map(lambda part: part[0].read(part[1], part[2]), self._parts(number, into)))
        return into

    def close(self) -> None:
        """Give the files back to the system."""
        self._threads.shutdown()
        for container in self.containers:
            container.close()

    def _parts(self, number: int, tensor: Tensor) -> Iterable[tuple[Container, int, Tensor]]:
        parts = tensor.detach().reshape(-1).view(torch.uint8).chunk(len(self.containers))
        return zip(self.containers, self._places[number], parts, strict=False)


class Buffers:
    """Memory that is read into, again and again: slots of each size that is asked for, or slots of the largest size only."""

    def __init__(self, exact: bool, largest: int) -> None:
        self.exact, self.largest = exact, largest
        self._spare: dict[int, list[Tensor]] = {}
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Tensor:
        """Return a slot of at least as many bytes."""
        size = nbytes if self.exact else max(nbytes, self.largest)
        with self._lock:
            spare = self._spare.get(size)
            return spare.pop() if spare else torch.empty(size, dtype=torch.uint8)

    def give(self, buffer: Tensor) -> None:
        """Let a slot be used again; of each size one is kept, or all where they have one size."""
        with self._lock:
            spare = self._spare.setdefault(buffer.nbytes, [])
            if not spare or not self.exact:
                spare.append(buffer)
