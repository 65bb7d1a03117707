"""Reading an import while its body arrives: line by line, or into a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any
from zipfile import is_zipfile

import anyio.from_thread
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from mnemos.errors import InvalidInput
from mnemos.serve.models import Cube
from mnemos.transfer.source import open_zip


class Record(BaseModel):
    """A line of an export."""

    model_config = ConfigDict(extra="allow")
    cube: Cube
    versions: list[Cube]


def parts(request: Request) -> Iterator[bytes]:
    """Yield a body as it arrives, from a thread; the event loop receives it."""
    stream = request.stream()

    async def more() -> bytes | None:
        return await anext(stream, None)

    while (part := anyio.from_thread.run(more)) is not None:
        yield part


def into_file(request: Request, folder: Path, name: str, most: int) -> Path:
    """Write a body into a file of a folder and return its path.

    Raises InvalidInput for a name that is not a file's, and for more than `most` bytes, those in a zip unpacked.
    """
    if not name or PurePath(name).name != name or name[0] == "." or not name.isprintable() or len(name.encode()) > 200:
        raise InvalidInput(
            f"name is {name[:80]!r}: give the name of a file without its folder, such as 'conversations.json'."
        )
    path, size = folder / name, 0
    with path.open("xb") as file:
        for part in parts(request):
            size += len(part)
            _check_size(size, most)
            file.write(part)
    if is_zipfile(path):
        with open_zip(path) as archive:
            _check_size(sum(info.file_size for info in archive.infolist()), most)
    return path


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise InvalidInput(
            f"the file has more than {most:,} bytes, unpacked. Split it, or import it on the server with `mnemos import`."
        )


def lines(request: Request, longest: int) -> Iterator[bytes]:
    """Yield the lines of a body, of at most `longest` bytes."""
    rest = bytearray()
    for part in parts(request):
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
