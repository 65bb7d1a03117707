"""The log of the server: lines of text or of JSON on standard error.

A line contains what an operator needs and nothing that a client sent: routes are templates, keys are ids. For an
unexpected error it has the type and the location, not the message, which may quote a memory.
"""

from __future__ import annotations

import json
import logging
import random
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

access = logging.getLogger("mnemos.access")
log = logging.getLogger("mnemos.serve")
REQUEST: ContextVar[str] = ContextVar("mnemos_request", default="")  # the id of the current request
FIELDS = ("request", "method", "route", "status", "ms", "key")
MAX_BUFFERED = 1_000  # lines
QUIET = ("/health", "/ready")  # routes that are logged at debug only
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SAFE_ID = re.compile(r"(?!.*mnk_)[A-Za-z0-9._:-]{1,64}")  # such as a UUID; never a key


def request_id(given: str | None) -> str:
    """Return the id that the client sent if it is safe to log, else a new one."""
    return given if given and _SAFE_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"


def log_request(method: str, route: str, status: int, seconds: float, key: str | None) -> None:
    """Log a request at info, at error if the server failed, at debug if it only checked the server's health.

    The status is 0 if the client disconnected before the response.
    """
    level = logging.DEBUG if route in QUIET else logging.ERROR if status >= 500 else logging.INFO
    if access.isEnabledFor(level):
        ms = round(1000 * seconds, 1)
        record = logging.LogRecord(access.name, level, "", 0, "%s %s %d %.1f ms", (method, route, status, ms), None)
        record.__dict__.update(method=method, route=route, status=status, ms=ms, key=key)
        access.handle(record)  # cheaper than access.log, which walks the stack to find the caller


def frames(error: BaseException) -> str:
    """Return the traceback of an error and its causes without their messages, which may quote a memory."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        calls = [f"  {f.filename}:{f.lineno} in {f.name}" for f in traceback.extract_tb(current.__traceback__)]
        parts.append("\n".join([type(current).__name__, *calls]))
        if isinstance(current, BaseExceptionGroup):
            parts += [frames(inner) for inner in current.exceptions]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nafter ".join(parts)


class TextFormatter(logging.Formatter):
    """One line of text, then the extra fields as name=value; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        data = fields(record)
        trace = data.pop("traceback", "").replace("\n", "\n    ")
        line = f"{data.pop('time')} {data.pop('level'):7} {data.pop('logger')}: {data.pop('message')}"
        for name in ("method", "route", "status", "ms"):
            data.pop(name, None)  # already in the message
        more = "".join(f" {name}={value}" for name, value in data.items())
        whole = line + more + (f"\n    {trace}" if trace else "")
        return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], whole)


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(fields(record))


class BufferedHandler(logging.StreamHandler[TextIO]):
    """Write lines of successful requests in batches, when `flush` is called, and all others immediately.

    Each write releases the interpreter lock to another thread, which slows down a busy server.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._buffer: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Buffer a record; flush if it is not a successful request."""
        try:
            self._buffer.append(self.format(record) + self.terminator)
        except Exception:
            self.handleError(record)
        if record.name != access.name or record.levelno >= logging.WARNING or len(self._buffer) >= MAX_BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Write the buffered lines."""
        with self.lock or nullcontext():
            lines, self._buffer = self._buffer, []
            with suppress(OSError, ValueError):  # the reader has closed the stream
                self.stream.write("".join(lines))
                super().flush()


def flush() -> None:
    """Write all buffered lines; the server calls this ten times a second."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a line by name."""
    message = record.getMessage()
    if record.name == "asyncio":  # the further lines describe a task, with the message of its error
        message = message.partition("\n")[0]
    extra = record.__dict__
    trace = extra.get("traceback", "")
    if record.exc_info and record.exc_info[1] is not None:
        trace = frames(record.exc_info[1])
    data = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(), "logger": record.name, "message": " ".join(message.split()),
        **{name: value for name in FIELDS if (value := extra.get(name)) is not None},
        **extra.get("more", {}),
    }  # fmt: skip
    if not data.get("request") and (request := REQUEST.get()):
        data["request"] = request
    return data | ({"traceback": trace} if trace else {})


@contextmanager
def logging_to_stderr(form: str, level: str) -> Iterator[None]:
    """Send the log and Python warnings to standard error; restore the previous logging configuration on exit."""
    handler = BufferedHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    number = logging.getLevelNamesMapping()[level.upper()]
    # libraries log from warning on: at info some log URLs, with what was asked
    loggers = {logging.getLogger(): max(number, logging.WARNING), logging.getLogger("mnemos"): number}
    before = {logger: logger.level for logger in loggers}
    root = logging.getLogger()
    handlers_before = root.handlers[:]
    root.handlers = [handler]
    logging.captureWarnings(True)
    for logger, value in loggers.items():
        logger.setLevel(value)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger, value in before.items():
            logger.setLevel(value)
        root.handlers = handlers_before
        handler.flush()
