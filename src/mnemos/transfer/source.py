"""Read the files of an import: bytes to text to JSON, with errors that say where."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mnemos.errors import InvalidInput

MAX_BYTES = 2 * 1024**3  # of one file, unpacked: all of it is held in RAM
LOOK = 50  # items of a list that are examined to detect its format
MAX_RATIO = 200  # unpacked to packed, of a zip member: more is a bomb
Message = dict[str, Any]
_MARKS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Item:
    """One message of a source: what `Space.add_many` takes, or why it cannot be imported."""

    where: str  # its position in the source
    message: Message | None
    problem: str = ""  # why it cannot be imported
    left_out: str = ""  # why it was left out, by intention
    remark: str = ""  # what is missing from a message that is taken
    abandoned: bool = False  # on a branch of the conversation that was left


@dataclass(slots=True)
class Conversation:
    """What was said together. Its messages have the ids of the source, which may be unique in it alone, or none."""

    where: str
    product: str
    id: str | None
    items: list[Item]
    at: datetime | None = None  # its own time
    session: bool = True  # False: a list of separate texts


@dataclass(slots=True)
class Document:
    """A file's words in sections, which may be edited, moved and cut until the next import."""

    where: str  # its name
    items: list[Item]
    file: str = ""  # identifies it where its name may change
    exists: Callable[[str], bool] = lambda _: True  # whether a document of another name is still where this one is


Read = Item | Conversation | Document


class Refused(InvalidInput):
    """A file is dangerous. Nothing of the import was taken."""


def decode(data: bytes, where: str) -> str:
    """Return UTF-8 as text, or UTF-16 or 32 with a byte order mark, without that. Raises InvalidInput for anything else."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                raise InvalidInput(f"{where} is damaged: no {encoding} at byte {error.start:,}.") from error
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


def read_values(data: bytes, where: str, name: str) -> tuple[Any, list[Item]]:
    """Return the JSON value of a file, or the list of its lines' values when it is JSONL, and the lines that are torn.

    Raises InvalidInput when it is neither: a torn line costs that line only where at least half of the lines are whole.
    """
    try:
        text = decode(data, where)
        return parse(text, where), []
    except InvalidInput as error:
        values, torn = _lines(data.decode("utf-8-sig", "surrogateescape"), where, name)
        if sum(isinstance(value, dict) for value in values) and len(torn) <= len(values):
            return values, torn
        begins = next((line.strip() for line in data.split(b"\n") if line.strip()), b"").lstrip(b"\xef\xbb\xbf")
        if not begins:
            raise InvalidInput(f"{where} is empty. There is nothing to import.") from error
        if begins[:1] not in b"[{\xff\xfe":
            raise InvalidInput(
                f"{where} begins with {begins[:20]!r}: not JSON, nor another format that is known."
            ) from error
        raise


def _lines(text: str, where: str, name: str) -> tuple[list[Any], list[Item]]:
    """Return the values of the lines of JSONL, and the lines that are torn."""
    values: list[Any] = []
    torn: list[Item] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            line.encode("utf-8")
            values.append(parse(line, f"{where}:{number}"))
        except (InvalidInput, UnicodeEncodeError) as error:
            why = "bytes that are not UTF-8" if isinstance(error, UnicodeEncodeError) else "torn, or not JSON"
            torn.append(Item(f"{name}:{number}", None, f"the line is {why}"))
            if len(torn) > 1_000 and len(torn) > len(values):
                break  # no JSONL
    return values, torn


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
        raise Refused(f"{where}: {name} would unpack to {info.file_size:,} bytes. Refused; nothing was imported.")
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


def first_dict(value: Any) -> Any:
    """Return the first dict among the first 50 items of a list, or None; what is no list as it is."""
    return next((v for v in value[:LOOK] if isinstance(v, Mapping)), None) if isinstance(value, list) else value


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
