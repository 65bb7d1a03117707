"""Weights in files: rows that are read where they are asked for, as fast as the disk is, or as slow as a disk that is named."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from mnemos.errors import InvalidInput, StoreError
from mnemos.footprint.container import drop_from_cache, memory_of


@dataclass(slots=True)
class Reads:
    """What was read."""

    calls: int = 0
    nbytes: int = 0
    seconds: float = 0.0  # of waiting for it

    def forget(self) -> None:
        """Begin again: what is read once, before a model computes, does not count."""
        self.calls, self.nbytes, self.seconds = 0, 0, 0.0


@dataclass(frozen=True, slots=True)
class Drive:
    """Where weights are, and how fast they come. Without limits it is the disk as it is, with the kernel's page cache before it.

    What was read or written is in the page cache, so that it comes at the speed of memory as long as the machine has room. `cold`
    tells the kernel to drop it after each read (posix_fadvise), so that the disk is read again.
    """

    folder: Path | None = None  # of the files; None: the system's folder for temporary ones
    bandwidth: float | None = None  # bytes a second at most
    latency: float = 0.0  # seconds that each call takes at least
    cold: bool = False  # drop what was read from the page cache
    threads: int = 1  # calls at once


class Run(NamedTuple):
    """Bytes of a file that one call reads."""

    offset: int
    into: memoryview


@dataclass
class RowFile:
    """Rows of numbers in a file that has no name, so that nothing of it is left when the process ends."""

    disk: Drive
    reads: Reads = field(default_factory=Reads)

    def __post_init__(self) -> None:
        if self.disk.threads < 1 or self.disk.latency < 0 or (self.disk.bandwidth or 1) <= 0:
            raise InvalidInput(f"{self.disk}: give at least one thread, and no limits below 0.")
        self._file = tempfile.TemporaryFile(dir=self.disk.folder)  # noqa: SIM115 - closed by `close`
        self._row = 0
        self._threads = ThreadPoolExecutor(self.disk.threads) if self.disk.threads > 1 else None

    def write(self, rows: Tensor) -> None:
        """Write rows (n, ...) in place of what was there."""
        rows = rows.detach().contiguous()
        self._row = rows[0].nbytes
        self._file.seek(0)
        self._file.write(memory_of(rows))
        self._file.flush()
        if self.disk.cold:
            os.fsync(self._file.fileno())
            drop_from_cache(self._file.fileno())

    def read(self, numbers: Sequence[int], out: Tensor) -> None:
        """Read rows by their numbers, ascending, into the first rows of `out`; neighbours come in one call."""
        if not numbers:
            return
        into, runs, begin = memory_of(out), [], 0
        for at in range(1, len(numbers) + 1):
            if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
                runs.append(Run(numbers[begin] * self._row, into[begin * self._row : at * self._row]))
                begin = at
        started = time.perf_counter()
        for _ in map(self._call, runs) if self._threads is None else self._threads.map(self._call, runs):
            pass
        count, size = len(runs), len(numbers) * self._row
        due = -(-count // self.disk.threads) * self.disk.latency
        due = max(due, size / self.disk.bandwidth) if self.disk.bandwidth else due
        time.sleep(max(0.0, due - (time.perf_counter() - started)))
        self.reads.calls += count
        self.reads.nbytes += size
        self.reads.seconds += time.perf_counter() - started

    def close(self) -> None:
        """Remove the file."""
        if self._threads is not None:
            self._threads.shutdown()
        self._file.close()

    def _call(self, run: Run) -> None:
        got = 0
        while got < len(run.into) and (more := os.preadv(self._file.fileno(), [run.into[got:]], run.offset + got)):
            got += more  # one call reads 2 GiB at most
        if got != len(run.into):
            raise StoreError(
                f"{got} of {len(run.into)} bytes of weights could be read: was the file cut, or the disk removed?"
            )
        if self.disk.cold:
            drop_from_cache(self._file.fileno(), run.offset, got)
