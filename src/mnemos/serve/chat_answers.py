"""Cached answers to chats: which requests may have one, what tells them apart, and how one is sent.

An answer is the right one again only where nothing but the question made it. So a request has one if it opens a conversation
with a single message of text, uses no tools, and asks for one plain answer. Everything else of it (the model, instructions,
parameters, the user, whose account pays) makes the scope in which its answer is kept.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mnemos.errors import InvalidInput
from mnemos.reason.dates import find_dates
from mnemos.serve.chat_format import TEXT_PARTS
from mnemos.serve.conversation import FIRST, MAX_QUESTION, SESSIONS, Options
from mnemos.space import Space
from mnemos.text.answers import DEFAULT, SERVED, Answer, Snapshot
from mnemos.text.recall.context import records
from mnemos.zones import in_zone, load_zone

OFF = "off"
NOT_ANSWERS = frozenset({"messages", "stream", "stream_options", "metadata"})  # fields that change no answer
PLAIN = NOT_ANSWERS | {
    "model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "frequency_penalty",
    "presence_penalty", "user", "safety_identifier", "n", "reasoning_effort", "verbosity", "response_format",
}  # fmt: skip


@dataclass
class Lookup:
    """What the cache had for a chat, and what is needed to keep its answer."""

    category: str
    scope: str
    question: str
    snapshot: Snapshot  # of the memories that the prompt shows
    answer: Answer | None


def check_header(options: Options, on: bool) -> None:
    """Raise InvalidInput for a chat that names a category where no answers are cached."""
    if options.answers not in (None, OFF) and not on:
        raise InvalidInput("X-Mnemos-Answers: this server caches no answers; a proxy does with --answers.")


def asked_alone(data: Any) -> tuple[str, str] | None:
    """Return the question of a request that may have a cached answer, and all else that makes it; None for any other."""
    if not isinstance(data, dict) or not set(data) <= PLAIN or data.get("n") not in (None, 1):
        return None
    messages, metadata = data.get("messages"), data.get("metadata") or {}
    if not isinstance(messages, list) or not messages or not isinstance(metadata, dict):
        return None
    texts = [_text(message) for message in messages]
    roles = [message.get("role") for message in messages if isinstance(message, dict)]
    if None in texts or roles[-1] != "user" or not set(roles[:-1]) <= set(FIRST):
        return None
    question = str(texts[-1])
    if not question.strip() or len(question) > MAX_QUESTION:
        return None
    rest = {name: value for name, value in data.items() if name not in NOT_ANSWERS}
    told = {name: value for name, value in metadata.items() if name not in SESSIONS}
    return question, json.dumps([rest, told, texts[:-1], messages[-1].get("name")], sort_keys=True)


def _text(message: Any) -> str | None:
    """Return the text of a message; None for one that has anything else."""
    if not isinstance(message, dict) or not set(message) <= {"role", "content", "name"}:
        return None
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(p, dict) and p.get("type") in TEXT_PARTS for p in content):
        return None
    texts = [part.get("text") for part in content]
    return "\n".join(map(str, texts)) if all(isinstance(text, str) for text in texts) else None


def look_up(
    space: Space, data: Any, options: Options, account: str, block: str, at: datetime, secret: bytes
) -> Lookup | None:
    """Return what the cache has for a request whose prompt shows `block`; None for a request that may have no answer of it.

    `account` is what the upstream tells callers apart by.
    """
    found, category = asked_alone(data), options.answers or DEFAULT
    if found is None or category == OFF or not space.answers.rules(category).on:
        return None
    question, rest = found
    now = in_zone(at, load_zone(options.timezone or space.timezone))
    day = now.date().isoformat() if any(mention.relative for mention in find_dates(question, now)) else ""
    parts = json.dumps([rest, account, options.tokens, options.timezone, day])
    scope = hashlib.blake2b(parts.encode(), digest_size=16, key=secret[:64], person=b"mnemos answer").hexdigest()
    shown = [record.id for record in records(block)]
    answer = space.answers.get(question, category, shown=shown, scope=scope)
    return Lookup(category, scope, question, space.answers.snapshot(shown), answer)


def keep(space: Space, found: Lookup, answer: str, turns: Sequence[str]) -> None:
    """Keep the answer of a model, as made of what its prompt showed; it is erased with each of its turns too."""
    used = [*found.snapshot.states, *turns]
    space.answers.put(found.question, answer, used, found.category, scope=found.scope, snapshot=found.snapshot)


def repeats(answer: Answer) -> dict[str, str]:
    """Return the metadata of turns that repeat an answer."""
    return {SERVED: answer.id}


def is_final(streamed: bool, body: bytes) -> bool:
    """Tell whether a response is one answer that a model ended by itself, without tools: whole, and no refusal."""
    ends, plain = [], True
    for event in _events(body) if streamed else [json.loads(body)]:
        choices = event.get("choices") or ()
        for choice in choices:
            said = choice.get("delta" if streamed else "message") or {}
            plain = (
                plain and not choice.get("index") and not any(said.get(n) for n in ("refusal", "audio", "tool_calls"))
            )
            ends += [choice["finish_reason"]] if choice.get("finish_reason") else []
    return plain and ends == ["stop"]


def _events(body: bytes) -> list[dict[str, Any]]:
    lines = body.decode("utf-8", "replace").splitlines()
    found = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(data) for data in found if data != "[DONE]"]


def response_of(data: Mapping[str, Any], answer: Answer, now: datetime) -> bytes:
    """Return the body of a response with a cached answer: JSON, or events where the request asks for them."""
    head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(now.timestamp()), "model": data.get("model", "")}
    usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    message = {"role": "assistant", "content": answer.text}
    if not data.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode("ascii")
    head["object"] = "chat.completion.chunk"
    events = [
        [{"index": 0, "delta": message, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    ]
    chunks: list[dict[str, Any]] = [{**head, "choices": choices} for choices in events]
    if (data.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], "usage": usage})
    return b"".join(b"data: " + json.dumps(chunk).encode("ascii") + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
