"""Requests of OpenAI's API that a local model answers, checked: what it cannot do is refused, never ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnemos.errors import InvalidInput
from mnemos.serve.chat_format import text_of

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
STOPS, STOP_LENGTH = 4, 500  # stop strings, and characters of one
UNSUPPORTED: Mapping[str, tuple[Any, ...]] = {  # what it cannot do, and the values that ask for nothing
    "tools": (), "functions": (), "tool_choice": ("none", "auto"), "function_call": ("none", "auto"), "logit_bias": (),
    "logprobs": (False,), "top_logprobs": (0,), "response_format": ({"type": "text"},), "presence_penalty": (0,),
    "frequency_penalty": (0,), "audio": (), "modalities": (["text"],), "prediction": (), "web_search_options": (),
    "best_of": (1,), "echo": (False,), "suffix": ("",), "n": (1,), "reasoning_effort": ("none",),
}  # fmt: skip


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: bool = False


class Asked(BaseModel):
    """What chat completions and completions have in common."""

    model_config = ConfigDict(extra="allow")

    model: str
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[Annotated[str, Field(min_length=1, max_length=STOP_LENGTH)]] | None = None

    @property
    def most(self) -> int | None:
        """The most tokens to generate, None for as many as the server allows."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """The stop strings."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class ChatAsked(Asked):
    """A chat completion."""

    messages: list[dict[str, Any]] = Field(min_length=1)


class TextAsked(Asked):
    """A completion of a text, or of tokens."""

    prompt: str | list[Annotated[int, Field(ge=0)]] = Field(min_length=1)


def read(kind: type[Asked], body: bytes) -> Any:
    """Return a request. Raises InvalidInput for one that is malformed or asks for what a local model cannot do."""
    try:
        asked = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
        raise InvalidInput(f"{where or 'the body'}: {first['msg']}.") from None
    more = asked.model_extra or {}
    for name, nothing in UNSUPPORTED.items():
        value = more.get(name)
        if value not in (None, [], {}) and value not in nothing:
            raise InvalidInput(f"{name} is not supported by a local model: leave it out.")
    if len(asked.stops) > STOPS:
        raise InvalidInput(f"stop has {len(asked.stops)} strings: give at most {STOPS}.")
    return asked


def messages_of(asked: ChatAsked) -> list[dict[str, str]]:
    """Return the messages for a chat template: role and text; neighbouring system messages are joined to one.

    Raises InvalidInput for a role or a part of a message that the model cannot read.
    """
    found: list[dict[str, str]] = []
    for item in asked.messages:
        role = ROLES.get(str(item.get("role")))
        if role is None:
            raise InvalidInput(f"a message has the role {item.get('role')!r:.40}: use {', '.join(ROLES)}.")
        content = item.get("content")
        parts = content if isinstance(content, list) else []
        if not isinstance(content, str | list) or any(
            not isinstance(part, dict) or part.get("type") not in ("text", "input_text", "output_text")
            for part in parts
        ):
            raise InvalidInput("a message has content that is no text: this model reads text only.")
        text = content if isinstance(content, str) else text_of(item)
        if found and role == found[-1]["role"] == "system":
            found[-1]["content"] += "\n\n" + text
        else:
            found.append({"role": role, "content": text})
    return found
