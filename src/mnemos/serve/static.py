"""The page's files: HTML, styles and scripts that come with the package and hold no data, so they need no key.

They are read once, when the server starts. A request names one of them or none: no path of the disk is ever made of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

FOLDER = Path(__file__).with_name("page")
BASE = "/page/"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}  # a file of another type is not served
SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}  # what takes the place of the headers that answers with data have


@dataclass(frozen=True)
class File:
    """A file, its media type, and a tag that changes with what is in it."""

    data: bytes
    type: str
    tag: str


def load(folder: Path = FOLDER) -> dict[str, File]:
    """Read the page's files; their names are relative to the folder, with slashes."""
    return {
        path.relative_to(folder).as_posix(): File(
            data := path.read_bytes(), TYPES[path.suffix], f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        )
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }


def is_page(path: str) -> bool:
    """Tell whether a path is of the page, where nobody needs a key."""
    return path == "/" or path.startswith(BASE)


def home() -> Response:
    """Lead to the page."""
    return RedirectResponse(BASE, 307)


def file(request: Request, name: str = "") -> Response:
    """A file of the page; without a name index.html."""
    files: Mapping[str, File] = request.app.state.page
    found = files.get(name or "index.html")
    if found is None:
        raise HTTPException(404, "the page has no such file.")
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    headers = {"ETag": found.tag}
    if found.tag in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.type, headers=headers)
