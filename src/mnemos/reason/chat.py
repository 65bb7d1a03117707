"""One request to a chat endpoint, and the JSON in its answer."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import islice
from typing import Any

from mnemos.credentials import secret
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput
from mnemos.reason.budget import Booking, Fault, Ledger

MAX_WAIT = 20.0  # seconds; a server may ask for hours
MAX_BYTES = 2_000_000
_CODES = ("insufficient_quota", "model_not_found", "invalid_api_key", "context_length_exceeded")
_STATUS = {
    400: "The model may not take such a request, or the text is too long for it",
    401: "Check the key",
    403: "Check the key and what it may use",
    404: "Check the address and the model",
    413: "The text is too long",
    429: "Wait, or ask for a higher limit",
}


@dataclass
class _Message:
    content: str | None = None
    refusal: str | None = None


@dataclass
class _Choice:
    message: _Message
    finish_reason: str | None = None


@dataclass
class _Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class _Completion:
    choices: list[_Choice]
    usage: _Usage | None = None


@cache
def adapter(shape: type) -> Any:
    """Return pydantic's reader of `shape`, a plain data class; pydantic is imported here."""
    from pydantic import TypeAdapter

    return TypeAdapter(shape)


@cache
def schema_of(shape: type) -> dict[str, Any]:
    """Return the JSON schema of a shape as strict servers want it: every field required, no other allowed."""
    schema: dict[str, Any] = adapter(shape).json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        part["additionalProperties"] = False  # asked of the server only: further fields do no harm
    return schema


def objects(content: str) -> Iterator[Any]:
    """Yield the JSON objects in an answer: the whole of it, in a fence, or after other words."""
    content = content.rpartition("</think>")[2]
    for start in islice(re.finditer(r"\{", content), 20):
        try:
            yield json.JSONDecoder().raw_decode(content, start.start())[0]
        except (ValueError, RecursionError):
            continue


class Chat:
    """Sends single requests to URL/chat/completions, each within the budget. Raises Fault and nothing else."""

    def __init__(
        self, url: str, key: str | None, timeout: float, max_output: int, ledger: Ledger, clock: Callable[[], datetime]
    ) -> None:
        self._url, self._key, self._timeout, self._max_output = url, key, timeout, max_output
        self._ledger, self._clock = ledger, clock
        self._client: Any = None
        self._lock = threading.Lock()
        self._unwelcome: set[str] = set()  # parameters that this endpoint rejected

    def answer(self, task: str, model: str, messages: list[dict[str, str]], schema: dict[str, Any]) -> tuple[str, bool]:
        """Return the text of the model's answer, and whether it is complete."""
        client = self.connected()
        body = self._body(task, model, messages, schema)
        booking = self._ledger.reserve(len(json.dumps(body, ensure_ascii=False).encode()) + self._max_output)
        raw = self._post(client, body, booking)
        try:
            completion = adapter(_Completion).validate_json(raw)
        except ValueError:
            raise Fault("the answer is not a chat completion. Check the address", again=True) from None
        if (usage := completion.usage) and usage.prompt_tokens > 0 and usage.completion_tokens >= 0:
            self._ledger.settle(booking, usage.prompt_tokens + usage.completion_tokens)
            self._ledger.count(task, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        if not completion.choices:
            raise Fault("the answer has no choices", again=True)
        choice = completion.choices[0]
        if choice.finish_reason == "content_filter":
            raise Fault("its content filter stopped the answer", again=False)
        if choice.message.refusal:
            raise Fault("the model refused", again=False)
        return choice.message.content or "", choice.finish_reason != "length"

    def connected(self) -> Any:
        """Return the client, created at the first call: its package takes a second to load."""
        with self._lock:
            if self._client is None:
                try:
                    import pydantic  # noqa: F401
                    from openai import OpenAI
                except ImportError:
                    raise Fault(f"it needs openai and pydantic: {install_command('llm')}", again=False) from None
                try:
                    key = (self._key or "").strip() or secret("OPENAI_API_KEY")
                except InvalidInput as error:
                    raise Fault(str(error), again=False) from None
                try:
                    # A server on this machine needs no key, but the package insists on one.
                    self._client = OpenAI(
                        api_key=key or "none", base_url=self._url, timeout=self._timeout, max_retries=0
                    )
                except Exception as error:  # its message may name the key
                    raise Fault(f"the client cannot be set up ({type(error).__name__})", again=False) from None
            return self._client

    def _body(self, task: str, model: str, messages: list[dict[str, str]], schema: dict[str, Any]) -> dict[str, Any]:
        form = {"type": "json_schema", "json_schema": {"name": task, "strict": True, "schema": schema}}
        body = {"model": model, "messages": messages, "temperature": 0, "response_format": form}
        body["max_completion_tokens" if "max_tokens" in self._unwelcome else "max_tokens"] = self._max_output
        return {name: value for name, value in body.items() if name not in self._unwelcome}

    def _post(self, client: Any, body: dict[str, Any], booking: Booking) -> bytes:
        raw, deadline = bytearray(), time.monotonic() + self._timeout
        try:
            # Streamed, since the client's own time-out restarts with every byte.
            with client.chat.completions.with_streaming_response.create(**body) as response:
                for part in response.iter_bytes():
                    raw += part
                    if len(raw) > MAX_BYTES:
                        raise Fault(f"the answer is longer than {MAX_BYTES} bytes", again=False)
                    if time.monotonic() > deadline:
                        raise Fault(f"no whole answer within {self._timeout:g} s", again=True)
        except Fault:
            raise
        except Exception as error:
            raise self._fault(error, booking, body) from None
        return bytes(raw)

    def _fault(self, error: Exception, booking: Booking, body: dict[str, Any]) -> Fault:
        """Describe the failure without quoting the server, which may repeat the key or the texts."""
        cause = error.__cause__ or error
        name, status = type(cause).__name__, getattr(error, "status_code", None)
        if not isinstance(status, int):
            if name in ("ConnectError", "ConnectTimeout"):
                self._ledger.settle(booking, 0, sent=False)
                return Fault(f"no server answers ({name}). Check the address", again=True)
            if "Timeout" in name or "Timeout" in type(error).__name__:
                return Fault(f"no complete answer within {self._timeout:g} s", again=True)
            return Fault(f"the connection failed ({name})", again=type(cause).__module__.startswith("http"))
        self._ledger.settle(booking, 0)
        code, said = str(getattr(error, "code", None) or ""), str(getattr(error, "message", ""))
        if status in (400, 422):
            for parameter in ("max_tokens", "temperature", "response_format"):
                # Servers also mention "max_tokens" when a text is too long.
                if parameter in body and parameter in said and (parameter != "max_tokens" or "support" in said):
                    self._unwelcome.add(parameter)
                    return Fault(f"status {status}: it does not accept {parameter}", again=True, wait=0)
        shown = f" {code}" if code in _CODES else ""
        return Fault(
            f"status {status}{shown}. {_STATUS.get(status, 'Try again later')}",
            again=(status in (408, 409, 429) or status >= 500) and code != "insufficient_quota",
            wait=self._wait(getattr(error, "response", None)),
        )

    def _wait(self, response: Any) -> float | None:
        """Return the seconds that Retry-After asks for, given as a number or as a date, up to a cap."""
        asked = response.headers.get("retry-after", "") if response is not None else ""
        try:
            if re.fullmatch(r"\d{1,9}(\.\d+)?", asked):
                return min(float(asked), MAX_WAIT)
            seconds = (parsedate_to_datetime(asked) - self._clock()).total_seconds()
        except (TypeError, ValueError):  # no such header, or not a date
            return None
        return min(max(seconds, 0.0), MAX_WAIT)
