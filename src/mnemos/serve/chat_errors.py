"""Errors in the form of OpenAI's API, for the routes of the proxy and those of that API which it does not have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

THEIRS = re.compile(
    "/v1/(chat|responses|models|completions|embeddings|moderations|images|audio|files|uploads|batches|conversations|"
    "assistants|threads|vector_stores|fine_tuning|realtime|videos)(/.*)?"
)  # routes of OpenAI's API
UPSTREAM = "upstream_error"
INVALID = "invalid_request_error"
KINDS: Mapping[int, tuple[str, str]] = {  # status -> type and code, as OpenAI's API has them
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "not_allowed"),
    404: (INVALID, "not_found"),
    405: (INVALID, "method_not_allowed"),
    408: (INVALID, "request_timeout"),
    413: (INVALID, "request_too_large"),
    421: (INVALID, "unknown_host"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
    507: ("server_error", "disk_full"),
}


def is_chat(path: str) -> bool:
    """Tell whether a path is one of OpenAI's API, whose clients read errors in its form."""
    return THEIRS.fullmatch(path) is not None


def failure(
    status: int, message: str, kind: str = "", code: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error in the form of OpenAI's API; by default of the type and code that the status has there."""
    usual = KINDS.get(status, ("server_error" if status >= 500 else INVALID, "error"))
    return JSONResponse(error_of(message, kind or usual[0], code or usual[1]), status, headers)


def error_of(message: str, kind: str, code: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
