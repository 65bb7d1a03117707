"""Read the files of an import: bytes to text to JSON, with errors that say where."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput

MAX_BYTES = 2 * 1024**3  # of one file, unpacked: all of it is held in RAM
LOOK = 50  # items of a list that are examined to detect its format
MAX_RATIO = 200  # unpacked to packed, of a zip member: more is a bomb
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a source: what `Space.add_many` takes, or why it cannot be imported."""

    where: str  # its position in the source
    message: Message | None
    problem: str = ""


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises InvalidInput when it is too large or cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidInput(f"{path} has {size:,} bytes, the limit is {MAX_BYTES:,}. Split it into parts.")
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}). Nothing was imported.") from error


def decode(data: bytes, where: str) -> str:
    """Return UTF-8 as text, without a byte order mark. Raises InvalidInput for another encoding."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{where} is not UTF-8 (byte {error.start:,}). Convert it first, for example with iconv. Nothing was imported."
        ) from error


def parse(text: str, where: str) -> Any:
    """Return the JSON value of a text. Raises InvalidInput saying where it breaks."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"{where}, line {error.lineno}, column {error.colno}: {error.msg}. The file is truncated, or not JSON. "
            "Nothing was imported."
        ) from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise InvalidInput(f"{where}: {error}. Nothing was imported.") from error
    except RecursionError as error:
        raise InvalidInput(f"{where}: nested too deeply to be read. Nothing was imported.") from error


def parse_lines(text: str, where: str) -> Iterator[tuple[str, Any]]:
    """Yield (where, value) of every line of JSONL that is not blank."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{where}:{number}", parse(line, f"{where}:{number}")


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip for reading. Raises InvalidInput when it is damaged."""
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # damaged names, sizes and versions raise other kinds than BadZipFile
        raise InvalidInput(
            f"{path} is not a complete zip file ({error}). Download it again. Nothing was imported."
        ) from error


def read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Return one member of a zip, unpacked in RAM. Raises InvalidInput for a damaged one, and for a bomb."""
    info = archive.getinfo(name)
    if info.file_size > MAX_BYTES or info.file_size > MAX_RATIO * max(info.compress_size, 1_000):
        raise InvalidInput(f"{where}: {name} would unpack to {info.file_size:,} bytes. Refused; nothing was imported.")
    try:
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise InvalidInput(f"{where}: {name} is damaged ({error}). Download it again. Nothing was imported.") from error
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        raise InvalidInput(f"{where}: {name} cannot be unpacked ({error}). Nothing was imported.") from error
    return data


def stable_id(*parts: object) -> str:
    """Return an id derived from the content, so that a second import finds the first: 20 characters, 100 bits."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return base64.b32encode(hashlib.blake2b(text, digest_size=15).digest()).decode("ascii").lower()[:20]


def is_list_of(value: Any, *keys: str) -> bool:
    """Tell whether a value is a list whose first dict, among its first 50 items, has all these keys."""
    if not isinstance(value, list):
        return False
    return has(next((item for item in value[:LOOK] if isinstance(item, Mapping) and item), None), *keys)


def has(value: Any, *keys: str) -> bool:
    """Tell whether a value is a dict with all these keys."""
    return isinstance(value, Mapping) and all(k in value for k in keys)


def dicts(value: Any, key: str | int) -> Mapping[str, Any]:
    """Return the dict under a key of a dict, or at an index of a list; an empty one when there is none."""
    try:
        found = value[key]
    except (KeyError, IndexError):
        return {}
    return found if isinstance(found, Mapping) else {}


def as_list(value: Any, name: str) -> list[Any]:
    """Return a list. Raises TypeError for anything else, which a loop might silently skip."""
    if not isinstance(value, list):
        raise TypeError(f"{name}: expected a list, got {type(value).__name__}")
    return value
