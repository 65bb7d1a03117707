"""Formats of OpenAI's API: the text of messages and responses, streamed or not, and the headers to pass on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnemos.text.encode.messages import clean

TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
CLIENT_CALLS = frozenset({"function_call", "custom_tool_call"})  # tool calls that the client executes: not the end
MNEMOS_KEY = re.compile(rb"\bmnk_[a-z2-7]{8}_")
HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"content-length",
}  # fmt: skip
NOT_UPSTREAM = HOP_BY_HOP | {b"host", b"accept-encoding", b"cookie", b"expect", b"forwarded", b"origin", b"referer"}
NOT_DOWNSTREAM = HOP_BY_HOP | {
    b"content-encoding", b"date", b"server", b"set-cookie", b"alt-svc", b"strict-transport-security",
}  # fmt: skip
Headers = Sequence[tuple[bytes, bytes]]
LINE_END = re.compile(r"\r\n|\n|\r")


def text_of(item: Mapping[str, Any]) -> str:
    """Return the text of a message; from a list of parts, that of the text parts."""
    content = item.get("content")
    if isinstance(content, list):
        parts = [p for p in content if isinstance(p, dict) and p.get("type") in TEXT_PARTS]
        content = "\n".join(p["text"] for p in parts if isinstance(p.get("text"), str))
    return clean(content.strip()) if isinstance(content, str) else ""


def answer_of(streamed: bool, body: bytes) -> str:
    """Return the text of a response, sent whole or as events; empty if it calls tools, failed or was cut off."""
    if streamed:
        return clean(_of_events(list(_events(body)))).strip()
    data = json.loads(body)
    if "choices" not in data:
        return clean(_of_output(data)).strip()
    message = data["choices"][0]["message"]
    return "" if message.get("tool_calls") or message.get("function_call") else text_of(message)


def response_id(streamed: bool, body: bytes) -> str | None:
    """Return the id of a response, by which the next request may continue it; only OpenAI's Responses API has that."""
    found = list(_events(body)) if streamed else [{"response": json.loads(body)}]
    responses = [event["response"] for event in found if isinstance(event, dict) and "response" in event]
    last = responses[-1] if responses and isinstance(responses[-1], dict) else {}
    known = last.get("object") == "response" and isinstance(last.get("id"), str)
    return str(last["id"]) if known else None


def _events(body: bytes) -> Iterator[Any]:
    lines: list[str] = []
    for line in (*LINE_END.split(body.decode("utf-8", "replace")), ""):
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line and lines:
            data, lines = "\n".join(lines), []
            yield None if data.strip() == "[DONE]" else json.loads(data)


def _of_output(data: Mapping[str, Any]) -> str:
    """Return the text of the messages after the last tool call."""
    texts: list[str] = []
    for item in data.get("output") or ():
        kind = str(item.get("type"))
        if kind in CLIENT_CALLS:
            return ""
        if kind.endswith("_call"):
            texts = []
        elif kind == "message":
            texts.append(text_of(item))
    return "\n".join(text for text in texts if text) if data.get("status") in (None, "completed", "incomplete") else ""


def _of_events(events: Sequence[Any]) -> str:
    texts: list[str] = []
    items: list[Any] = []
    ended = False
    for event in events:
        if event is None:
            ended = True
        elif event.get("error"):
            return ""
        elif event.get("type") == "response.output_item.done":
            items.append(event["item"])
        elif event.get("type") in ("response.completed", "response.incomplete"):
            return _of_output({**event["response"], "output": event["response"].get("output") or items})
        for choice in [c for c in (event or {}).get("choices") or () if not c.get("index")]:
            delta = choice.get("delta") or {}
            if delta.get("tool_calls") or delta.get("function_call"):
                return ""
            if isinstance(delta.get("content"), str):
                texts.append(delta["content"])
            ended = ended or bool(choice.get("finish_reason"))
    return "".join(texts) if ended else ""


def headers_up(given: Headers, key: str | None) -> list[tuple[bytes, bytes]]:
    """Return the headers for the upstream, without those for this hop, this server, or with its keys."""
    headers = [
        (name, value)
        for name, value in _filtered(given, NOT_UPSTREAM, (b"x-mnemos-", b"x-forwarded-"))
        if not MNEMOS_KEY.search(value) and not (key and name == b"authorization")
    ]
    if key:
        headers.append((b"authorization", f"Bearer {key}".encode()))
    return [*headers, (b"accept-encoding", b"identity")]


def headers_down(given: Headers, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers for the client, without those about the upstream itself or for web pages."""
    headers = _filtered(given, NOT_DOWNSTREAM, (b"x-mnemos-", b"access-control-"))
    if not any(name.lower() == b"content-encoding" for name, _ in given):
        headers += [(b"content-length", value) for name, value in given if name.lower() == b"content-length"]
    return headers + [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in more.items()]


def _filtered(given: Headers, dropped: set[bytes], prefixes: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    named = {n.strip() for name, v in given if name.lower() == b"connection" for n in v.lower().split(b",")}
    rows = ((name.lower(), value) for name, value in given)
    return [(n, v) for n, v in rows if n not in dropped and n not in named and not n.startswith(prefixes)]
