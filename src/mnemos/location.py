"""Where an installation keeps its spaces: a folder, or a database that a URL names."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mnemos.errors import InvalidInput

SCHEMES = ("postgresql", "postgres")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|postgres\w*:", re.IGNORECASE)  # one letter is a drive of Windows
_PASSWORD = re.compile(
    r"(:/{0,2}[^:@/?]*):.*@", re.DOTALL
)  # to the last @: one that should have been encoded hides nothing
_IN_QUERY = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&]*", re.IGNORECASE)
_ENCODE = "A password with special characters has to be percent-encoded: @ is %40, / is %2F, : is %3A, ? is %3F."


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """The URL of a database. `url` is the whole of it; as text, and in messages, it has no password."""

    url: str

    def __str__(self) -> str:
        return masked(self.url)

    __repr__ = __str__


Location = Path | DatabaseUrl


def locate(given: str | os.PathLike[str] | DatabaseUrl) -> Location:
    """Return the folder or database that a root names. Raises InvalidInput for a URL that names no database of ours."""
    if isinstance(given, DatabaseUrl):
        return given
    text = os.fspath(given)
    if not is_url(text):
        return Path(text).expanduser()
    _check(text)
    return DatabaseUrl(text)


def is_url(text: str) -> bool:
    """Tell whether a root is meant as the URL of a database, well formed or not."""
    return _SCHEME.match(text) is not None


def masked(text: str) -> str:
    """Return a text with the passwords of URLs in it replaced by an ellipsis."""
    return _IN_QUERY.sub(r"\1=…", _PASSWORD.sub(r"\1:…@", text))


def _check(url: str) -> None:
    """Raise InvalidInput, without the password, for a URL that libpq would misread or refuse."""
    scheme, _, rest = url.partition(":/")
    if scheme not in SCHEMES or not rest.startswith("/"):
        raise InvalidInput(
            f"{masked(url)!r:.200} is not the URL of a database. Write postgresql://USER@HOST:PORT/DATABASE, or give a folder."
        )
    authority = re.split(r"[/?]", rest[1:].rpartition("@")[2], maxsplit=1)[0]
    userinfo = rest[1:].partition("?")[0].rpartition("@")[0]
    if "@" in userinfo or "/" in userinfo:
        raise InvalidInput(f"the URL {masked(url)!r:.200} has a / or a second @ before its host. {_ENCODE}")
    for host in authority.split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
            raise InvalidInput(f"the URL {masked(url)!r:.200} has a port that is no number from 1 to 65,535. {_ENCODE}")
