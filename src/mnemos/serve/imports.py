"""Reading an import line by line, while its body arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio.from_thread
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from mnemos.errors import InvalidInput
from mnemos.serve.models import Cube


class Record(BaseModel):
    """A line of an export."""

    model_config = ConfigDict(extra="allow")
    cube: Cube
    versions: list[Cube]


def lines(request: Request, longest: int) -> Iterator[bytes]:
    """Yield the lines of a body, of at most `longest` bytes, from a thread; the event loop receives the body."""
    stream = request.stream()

    async def more() -> bytes | None:
        return await anext(stream, None)

    rest = bytearray()
    while (part := anyio.from_thread.run(more)) is not None:
        rest += part
        if b"\n" in part:
            *whole, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            yield from whole
        if len(rest) > longest:
            raise InvalidInput(f"a line is longer than {longest:,} bytes. Nothing was stored.")
    yield bytes(rest)


def records(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Parse the lines of an export. Raises InvalidInput with the number of the line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            Record.model_validate(record)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise InvalidInput(
                f"line {number} is not a record of an export: {where!r} is missing or invalid. Nothing was stored."
            ) from error
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"line {number} is not JSON. Nothing was stored.") from error
        yield record
