"""Standard output that cannot be written: a full disk, a reader that went away, a stream that was closed."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from contextlib import suppress
from typing import Any

FAILED = 1  # the exit code
_CAUSES = {
    errno.EPIPE: "whoever reads the output has gone away",
    errno.ENOSPC: "the disk is full",
    errno.EBADF: "standard output is closed",
}


class OutputFailed(Exception):
    """The output of a command could not be written. What the command did is done."""

    def __init__(self, error: OSError) -> None:
        super().__init__(_CAUSES.get(error.errno or 0, error.strerror or str(error)))


class Output(io.TextIOWrapper):
    """Standard output whose errors are `OutputFailed`, so that nobody takes them for errors of another file."""

    def write(self, text: str) -> int:
        """Write a text. Raises OutputFailed."""
        try:
            return super().write(text)
        except OSError as error:
            raise OutputFailed(error) from error

    def flush(self) -> None:
        """Write what is in the buffer. Raises OutputFailed."""
        try:
            super().flush()
        except OSError as error:
            raise OutputFailed(error) from error


class Closed(io.TextIOBase):
    """Standard output that was closed before the command began."""

    encoding = "utf-8"

    def writable(self) -> bool:
        """Tell that writing is tried."""
        return True

    def write(self, text: str) -> int:
        """Raise OutputFailed, unless there is nothing to write."""
        if text:
            raise OutputFailed(OSError(errno.EBADF, os.strerror(errno.EBADF)))
        return 0


def guard() -> None:
    """Replace standard output by one that says what is wrong with it, and fill descriptors that are closed."""
    for descriptor in range(3):  # else the next file that is opened becomes the standard output
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out: Any = sys.stdout
    if out is None:
        sys.stdout = Closed()
    elif isinstance(out, io.TextIOWrapper) and not isinstance(out, Output):
        encoding, lines = out.encoding, out.line_buffering
        sys.stdout = Output(out.detach(), encoding=encoding, errors="backslashreplace", line_buffering=lines)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")  # characters that the terminal lacks are escaped


def report(error: OutputFailed | OSError, as_json: bool) -> int:
    """Say on stderr that the output was not written; return the exit code. Nothing more is written to stdout."""
    message = f"the output was not written: {error}. What the command has done until then is kept."
    if isinstance(error, OSError):
        message = f"{error}. What the command has done until then is kept."
    with suppress(OSError, ValueError):
        print(
            json.dumps({"error": message, "type": "OutputFailed"}) if as_json else message, file=sys.stderr, flush=True
        )
    with suppress(OSError, ValueError):  # what is left in buffers goes nowhere, and exiting succeeds
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    return FAILED
