"""Errors as RFC 9457 problem details: what was wrong and what to do, without internal details."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticSerializationError, to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mnemos.errors import (
    Conflict,
    EmbedderError,
    InvalidInput,
    MnemosError,
    NotFound,
    ReadOnly,
    ReasonerError,
    StoreBusy,
    StoreError,
    StoreFull,
)
from mnemos.serve.chat_errors import failure, is_chat
from mnemos.serve.logs import frames
from mnemos.serve.requests import ERROR_TYPE

log = logging.getLogger("mnemos.serve")
QUOTED = re.compile(r"(['\"]).*?\1")  # SQLite quotes what it cannot parse, which may be part of a stored text
STATUS: tuple[tuple[type[MnemosError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (StoreBusy, 503),
    (ReadOnly, 403),
    (StoreFull, 507),
    (EmbedderError, 503),
    (ReasonerError, 503),
)
SHOWN = 5  # errors of one request body that are reported
DETAILS = {
    404: "there is no such route. /openapi.json lists all routes.",
    405: "this route does not support that method. The header Allow lists the methods it supports.",
}


class Json(Response):
    """A JSON response. What UTF-8 cannot encode, such as a lone surrogate in metadata, is escaped."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        try:
            return to_json(content)  # four times as fast as json.dumps
        except PydanticSerializationError:
            return json.dumps(content, separators=(",", ":")).encode("ascii")


class Problem(Json):
    """An `application/problem+json` response; `kind` is the name of the error in `mnemos.errors`."""

    media_type = "application/problem+json"

    def __init__(
        self, status: int, detail: str, kind: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        content = {
            "type": ERROR_TYPE + kind if kind else "about:blank", "title": kind or HTTPStatus(status).phrase,
            "status": status, "detail": detail, **more,
        }  # fmt: skip
        super().__init__(content, status, dict(headers or {}))


def of_error(error: MnemosError, hidden: str = "") -> Problem:
    """Return the response to an error of Mnemos; `hidden` (the path of the root) is removed from its message."""
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    detail = str(error).replace(hidden, "(root)") if hidden else str(error)
    headers = {"Retry-After": "1"} if status == 503 else None
    return Problem(status, detail, type(error).__name__, headers)


def of_store(error: StoreError, path: str) -> Response:
    """Log that what the server stores for itself cannot be used, and return a response that names no place."""
    log.error("the keys or rates cannot be used: %s", QUOTED.sub("(…)", str(error)))
    detail = "the server cannot reach its store. Its log says why. Try again later."
    headers = {"Retry-After": "5"}
    return failure(503, detail, headers=headers) if is_chat(path) else Problem(503, detail, headers=headers)


def of_http(error: HTTPException, path: str) -> Response:
    """Return the response to an HTTP error, such as 405, for a request to a path."""
    phrase = HTTPStatus(error.status_code).phrase
    detail = str(error.detail if error.detail != phrase else DETAILS.get(error.status_code, phrase + "."))
    if is_chat(path):
        return failure(error.status_code, detail, headers=error.headers)
    return Problem(error.status_code, detail, headers=error.headers)


def of_request(error: RequestValidationError) -> Problem:
    """Return the response to a request with the wrong shape; it does not repeat what was sent."""
    found = [{"where": ".".join(str(part) for part in e["loc"]), "message": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['message']}" for e in found[:SHOWN])
    return Problem(422, detail + ". Nothing was stored.", "InvalidInput", errors=found[:SHOWN])


def of_defect(error: Exception, where: str, path: str) -> Response:
    """Log where an unexpected error was raised, and return a response. Neither has its message, which may quote a memory."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "%s in %s, raised at %s:%s", type(error).__name__, where, frame.filename, frame.lineno,
        extra={"traceback": frames(error)},
    )  # fmt: skip
    detail = "internal error of the server. Its log says where it occurred."
    return failure(500, detail) if is_chat(path) else Problem(500, detail)


def install(app: FastAPI, hidden: str) -> None:
    """Install handlers that answer every error with problem details."""

    async def mnemos_error(request: Request, error: Any) -> Response:
        response = of_error(error, hidden)
        if response.status_code in (500, 507):
            message = QUOTED.sub("(…)", str(error).replace("\n", " "))
            log.error("%s: %s", type(error).__name__, message, extra={"traceback": frames(error)})
        return response

    async def http_error(request: Request, error: Any) -> Response:
        return of_http(error, request.url.path)

    async def request_error(request: Request, error: Any) -> Response:
        return of_request(error)

    app.add_exception_handler(MnemosError, mnemos_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, request_error)
