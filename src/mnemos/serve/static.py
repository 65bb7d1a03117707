"""Static files of the page: HTML, styles and scripts from the package. They contain no data and need no key.

They are read once, when the server starts. A request is looked up by name among them and never becomes a path on disk.
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
}  # files of other types are not served
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}  # replace those of the same name that responses with data have


@dataclass(frozen=True)
class File:
    """A file, its media type, and an ETag that changes with its content."""

    data: bytes
    type: str
    tag: str


def load(folder: Path = FOLDER) -> dict[str, File]:
    """Return the page's files by their path relative to the folder, with slashes."""
    return {
        path.relative_to(folder).as_posix(): File(
            data := path.read_bytes(), TYPES[path.suffix], f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        )
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }


def is_page(path: str) -> bool:
    """Tell whether a path belongs to the page, which needs no key."""
    return path == "/" or path.startswith(BASE)


async def home() -> Response:
    """Redirect to the page."""
    return RedirectResponse(BASE, 307)


async def file(request: Request, name: str = "") -> Response:
    """Return a file of the page; index.html without a name."""
    files: Mapping[str, File] = request.app.state.page
    found = files.get(name or "index.html")
    if found is None:
        raise HTTPException(404, "the page has no file with this name.")
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    headers = {"ETag": found.tag}
    if found.tag in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    return Response(found.data, media_type=found.type, headers=headers)
