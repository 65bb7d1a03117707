"""Errors as RFC 9457 problem details: what was wrong and what to do next, and nothing of the inside."""

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

from mnemos.errors import Conflict, EmbedderError, InvalidInput, MnemosError, NotFound, ReasonerError, StoreBusy
from mnemos.serve.logs import frames

log = logging.getLogger("mnemos.serve")
TYPE = "urn:mnemos:error:"
QUOTED = re.compile(r"(['\"]).*?\1")  # SQLite quotes what it does not understand, which may be a part of a text
STATUS: tuple[tuple[type[MnemosError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (StoreBusy, 503),
    (EmbedderError, 503),
    (ReasonerError, 503),
)
SHOWN = 5  # errors of one request body that are told
WORDS = {
    404: "there is no such route: /openapi.json lists those there are.",
    405: "this route does not take that method: see the header Allow.",
}


class Json(Response):
    """A response of JSON. What is not UTF-8, such as a lone surrogate in metadata, is escaped."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes of the body."""
        try:
            return to_json(content)  # four times as fast as json.dumps
        except PydanticSerializationError:
            return json.dumps(content, separators=(",", ":")).encode("ascii")


class Problem(Json):
    """A response of `application/problem+json`; `kind` is the name of the error in `mnemos.errors`."""

    media_type = "application/problem+json"

    def __init__(
        self, status: int, detail: str, kind: str = "", headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        content = {
            "type": TYPE + kind if kind else "about:blank", "title": kind or HTTPStatus(status).phrase,
            "status": status, "detail": detail, **more,
        }  # fmt: skip
        super().__init__(content, status, dict(headers or {}))


def of_error(error: MnemosError, hidden: str = "") -> Problem:
    """Return the answer for an error of Mnemos; `hidden` (the path of the root) is cut out of its message."""
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    detail = str(error).replace(hidden, "(root)") if hidden else str(error)
    headers = {"Retry-After": "1"} if status == 503 else None
    return Problem(status, detail, type(error).__name__, headers)


def of_http(error: HTTPException) -> Problem:
    """Return the answer for an error of HTTP, such as 405."""
    usual = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.detail != usual else WORDS.get(error.status_code, usual + ".")
    return Problem(error.status_code, str(detail), headers=error.headers)


def of_request(error: RequestValidationError) -> Problem:
    """Return the answer for a request that has the wrong shape; what was sent is not repeated."""
    found = [{"where": ".".join(str(part) for part in e["loc"]), "message": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['message']}" for e in found[:SHOWN])
    return Problem(422, detail + ". Nothing was stored.", "InvalidInput", errors=found[:SHOWN])


def of_defect(error: Exception, where: str) -> Problem:
    """Log where an unknown error was raised, without its message (it may quote a memory), and answer without it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "%s in %s, raised at %s:%s", type(error).__name__, where, frame.filename, frame.lineno,
        extra={"traceback": frames(error)},
    )  # fmt: skip
    return Problem(500, "the server failed in a way that it should not. Its log says where.")


def install(app: FastAPI, hidden: str) -> None:
    """Make the app answer all errors as problems."""

    async def mnemos_error(request: Request, error: Any) -> Response:
        answer = of_error(error, hidden)
        if answer.status_code == 500:
            told = QUOTED.sub("(…)", str(error).replace("\n", " "))
            log.error("%s: %s", type(error).__name__, told, extra={"traceback": frames(error)})
        return answer

    async def http_error(request: Request, error: Any) -> Response:
        return of_http(error)

    async def request_error(request: Request, error: Any) -> Response:
        return of_request(error)

    app.add_exception_handler(MnemosError, mnemos_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, request_error)
