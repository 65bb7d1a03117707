"""Bytes and seconds as they are: what a piece of work takes of this process."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mnemos.errors import InvalidInput

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # mallopt's names in glibc
_SPARE = 65536  # bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """What a piece of work took."""

    peak: int  # bytes resident at most while it ran, beyond those before it
    seconds: float  # of the clock
    cpu: float  # seconds of the processor, of all threads


def taken(work: Callable[[], object]) -> Taken:
    """Return the peak of resident memory and the seconds of a piece of work. Linux only.

    What other threads of the process take counts as well. Raises InvalidInput where the kernel does not tell a peak.
    """
    if not RESET.exists():
        raise InvalidInput("this system does not tell the peak of resident memory: measure on Linux.")
    return_freed_memory()
    forget_peak()
    before, clock, cpu = resident(), time.perf_counter(), time.process_time()
    work()
    seconds, spent = time.perf_counter() - clock, time.process_time() - cpu
    return Taken(max(0, resident(peak=True) - before), seconds, spent)


def forget_peak() -> None:
    """Let the peak of resident memory begin anew. Linux only."""
    RESET.write_text("5", encoding="ascii")


def resident(peak: bool = False) -> int:
    """Return the bytes of this process that are in memory now, or at most since `forget_peak`. Linux only."""
    name = "VmHWM" if peak else "VmRSS"
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def return_freed_memory() -> None:
    """Give what was freed back to the system, now and from here on, so that resident memory follows what is held.

    The allocator of glibc keeps large blocks once it has seen such ones freed, and a peak then shows what was before it.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):  # another library of C than glibc has no such functions
        libc.mallopt(_MMAP_THRESHOLD, _SPARE)
        libc.mallopt(_TRIM_THRESHOLD, _SPARE)
        libc.malloc_trim(0)
