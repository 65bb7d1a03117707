"""The log of the server: lines of text or of JSON on standard error.

A line holds what an operator needs and nothing that was sent: routes are templates, keys are ids, and of an error that
nobody foresaw come the type and the place, not the message, which may quote a memory.
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
REQUEST: ContextVar[str] = ContextVar("mnemos_request", default="")  # the id of the request that is being served
FIELDS = ("request", "method", "route", "status", "ms", "key")
TOGETHER = 1_000  # lines that wait at most
QUIET = ("/health", "/ready")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SANE = re.compile(r"(?!.*mnk_)[A-Za-z0-9._:-]{1,64}")  # such as a UUID; never a key


def request_id(given: str | None) -> str:
    """Return the id that a caller gave if it is harmless in a log, else a new one."""
    return given if given and _SANE.fullmatch(given) else f"{random.getrandbits(64):016x}"


def note(method: str, route: str, status: int, seconds: float, key: str | None) -> None:
    """Log a request: at info, at error when the server failed, at debug when it only asked how the server is.

    The status of a request whose client left before the answer is 0.
    """
    level = logging.DEBUG if route in QUIET else logging.ERROR if status >= 500 else logging.INFO
    if access.isEnabledFor(level):
        ms = round(1000 * seconds, 1)
        record = logging.LogRecord(access.name, level, "", 0, "%s %s %d %.1f ms", (method, route, status, ms), None)
        record.__dict__.update(method=method, route=route, status=status, ms=ms, key=key)
        access.handle(record)  # without a search of the stack for who called


def frames(error: BaseException) -> str:
    """Return the traceback of an error and of its causes without their messages, which may quote a memory."""
    found: list[str] = []
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        places = traceback.extract_tb(now.__traceback__)
        found.append("\n".join([type(now).__name__, *(f"  {f.filename}:{f.lineno} in {f.name}" for f in places)]))
        if isinstance(now, BaseExceptionGroup):
            found += [frames(inner) for inner in now.exceptions]
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return "\nafter ".join(found)


class Plain(logging.Formatter):
    """A line of text; what else there is to say of it follows as name=value, a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        data = facts(record)
        trace = data.pop("traceback", "").replace("\n", "\n    ")
        line = f"{data.pop('time')} {data.pop('level'):7} {data.pop('logger')}: {data.pop('message')}"
        for name in ("method", "route", "status", "ms"):
            data.pop(name, None)  # the message says them
        more = "".join(f" {name}={value}" for name, value in data.items())
        whole = line + more + (f"\n    {trace}" if trace else "")
        return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], whole)


class Json(logging.Formatter):
    """An object of JSON a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(facts(record))


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream: those of requests that went well together, when `flush` is called, others at once.

    Each write hands the interpreter to another thread, which a busy server feels.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            self._waiting.append(self.format(record) + self.terminator)
        except Exception:
            self.handleError(record)
        if record.name != access.name or record.levelno >= logging.WARNING or len(self._waiting) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self.lock or nullcontext():
            lines, self._waiting = self._waiting, []
            with suppress(OSError, ValueError):  # nobody reads it any more
                self.stream.write("".join(lines))
                super().flush()


def flush() -> None:
    """Write the lines that wait; the server does so ten times a second."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says, by name."""
    message = record.getMessage()
    if record.name == "asyncio":  # what follows describes a task, with the message of its error
        message = message.partition("\n")[0]
    trace = getattr(record, "traceback", "")
    if record.exc_info and record.exc_info[1] is not None:
        trace = frames(record.exc_info[1])
    data = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(), "logger": record.name, "message": " ".join(message.split()),
        **{name: value for name in FIELDS if (value := getattr(record, name, None)) is not None},
        **getattr(record, "more", {}),
    }  # fmt: skip
    if not data.get("request") and (request := REQUEST.get()):
        data["request"] = request
    return data | ({"traceback": trace} if trace else {})


@contextmanager
def logging_to_stderr(form: str, level: str) -> Iterator[None]:
    """Send the log to standard error, warnings too; what was set up before comes back at the end."""
    handler = Lines(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Plain())
    number = logging.getLevelNamesMapping()[level.upper()]
    # libraries speak from warnings on: at info some log addresses, with what was asked
    loggers = {logging.getLogger(): max(number, logging.WARNING), logging.getLogger("mnemos"): number}
    before = {logger: logger.level for logger in loggers}
    root = logging.getLogger()
    kept = root.handlers[:]
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
        root.handlers = kept
        handler.flush()
