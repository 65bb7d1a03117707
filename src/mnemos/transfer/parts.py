"""The texts among the parts of a message, as chat APIs and products write them; and what the other parts are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TEXTS = ("text", "input_text", "output_text")
_KINDS = {  # what a type of part is called in a report; "" is nothing that anybody said
    "reasoning": ("thinking", "redacted_thinking", "reasoning", "think", "thoughts"),
    "call of a tool": (
        "tool_use", "tool-call", "tool_call", "function_call", "server_tool_use", "tool-invocation", "dynamic-tool",
    ),
    "answer of a tool": ("tool_result", "tool-result", "function_call_output", "web_search_tool_result", "execution_output"),
    "picture": ("image", "image_url", "input_image", "image_file", "image_asset_pointer", "video_container_asset_pointer"),
    "sound": ("audio", "input_audio", "audio_asset_pointer", "real_time_user_audio_video_asset_pointer", "voice_note"),
    "file": ("file", "input_file", "document", "source", "source-url", "source-document"),
    "": ("step-start", "token_budget", "flag"),
}  # fmt: skip
KINDS = {name: kind for kind, names in _KINDS.items() for name in names}


@dataclass(slots=True)
class Parts:
    """What a message is made of."""

    text: str = ""
    answers: list[str] = field(default_factory=list)  # of tools
    left_out: Counter[str] = field(default_factory=Counter)
    problem: str = ""

    @property
    def remark(self) -> str:
        """What is left out, in words."""
        return ", ".join(f"{n} x {kind}" if n > 1 else kind for kind, n in self.left_out.items())


def read_parts(value: Any) -> Parts:
    """Return the texts of a content (a text, or a list of parts), joined by lines; all that is no text is counted."""
    if value is None:
        return Parts()
    if isinstance(value, str):
        return Parts(value)
    if not isinstance(value, list):
        return Parts(problem=f"expected a text or a list of parts, got {type(value).__name__}")
    parts, texts = Parts(), []
    for i, part in enumerate(value):
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = _kind(part)
        text = text_in(part)
        if kind is None and isinstance(text, str):
            texts.append(text)
        elif kind == "answer of a tool":
            parts.answers += [answer] if (answer := answer_in(part)) else []
            parts.left_out[kind] += 1
        elif kind and not (kind in TEXTS and text is not None):
            parts.left_out[kind] += 1
        elif kind != "" and part is not None:
            parts.problem = parts.problem or f"part {i} is no text: {part!r:.60}"
    parts.text = "\n".join(t for t in texts if t)
    return parts


def _kind(part: Any) -> str | None:
    """Return what a part is, other than a text; None for a text or for what does not say it."""
    if not isinstance(part, Mapping):
        return None
    name = part.get("type") if isinstance(part.get("type"), str) else part.get("content_type")
    if not isinstance(name, str):
        return None
    if name in KINDS:
        return KINDS[name]
    if name.startswith("tool-"):
        return "call of a tool"
    if name.startswith("data-"):
        return "data"
    return None if isinstance(text_in(part), str) else name[:40]


def text_in(part: Any) -> Any:
    """Return the text of a part; what stands there when it is none."""
    if not isinstance(part, Mapping):
        return part
    text = next((part[k] for k in ("text", "content", "value") if part.get(k) is not None), None)
    return text.get("value", text) if isinstance(text, Mapping) else text


def answer_in(part: Any) -> str:
    """Return the text of a tool's answer."""
    content = next((part[k] for k in ("content", "output", "result", "text") if part.get(k) is not None), None)
    if isinstance(content, Mapping):
        content = next((content[k] for k in ("value", "text", "output", "content") if k in content), None)
    return read_parts(content).text if isinstance(content, str | list) else ""
